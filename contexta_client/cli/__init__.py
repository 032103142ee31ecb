"""The command line, `contexta`. Commands import what they need when they run, so that help is quick."""

from .main import main as main
