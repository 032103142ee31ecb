"""Puts this folder on the path, so that tests of every kind share its modules."""

from capturing import capturing as capturing
from served import served as served
from vanishing import vanishing as vanishing
