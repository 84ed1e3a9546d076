from samenloop_deploy.cli import main

main()
