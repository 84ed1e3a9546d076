"""iWmo and iJw 3.2 messages between municipality and providers: allocation (301), start (305), stop (307) and their returns."""
