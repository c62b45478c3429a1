"""Every experiment, in the order in which they are listed."""

from chaos.experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = ()
