"""Kafka, PostgreSQL and the supervision of processes on one machine, for the demo and the tests."""

from samenloop_deploy.local.databases import Databases
from samenloop_deploy.local.java import LocalStackError, Progress, ProgressCallback
from samenloop_deploy.local.stack import LocalStack
from samenloop_deploy.local.supervisor import Child, ChildFailed, Event, Room, Supervisor

__all__ = [
    "Child",
    "ChildFailed",
    "Databases",
    "Event",
    "LocalStack",
    "LocalStackError",
    "Progress",
    "ProgressCallback",
    "Room",
    "Supervisor",
]
