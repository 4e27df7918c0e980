"""The studies, by name, in the order of a run."""

from benchmarks.studies.base import Study
from benchmarks.studies.first_byte import FirstByte
from benchmarks.studies.known_users import KnownUsers
from benchmarks.studies.memory import Memory
from benchmarks.studies.paced import Paced
from benchmarks.studies.workers import Workers

STUDIES: dict[str, Study] = {study.name: study for study in (FirstByte(), Paced(), Workers(), KnownUsers(), Memory())}
