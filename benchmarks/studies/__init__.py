"""The studies, by name, in the order of a run."""

from benchmarks.studies import memory
from benchmarks.studies.backup import BackupBeside
from benchmarks.studies.base import Study
from benchmarks.studies.counting import Counting
from benchmarks.studies.first_byte import FirstByte
from benchmarks.studies.known_users import KnownUsers
from benchmarks.studies.left_out import LeftOut
from benchmarks.studies.open_streams import OpenStreams
from benchmarks.studies.paced import Paced
from benchmarks.studies.paced_beside import PacedBeside
from benchmarks.studies.profile import Profile
from benchmarks.studies.tracing import Tracing
from benchmarks.studies.workers import Workers

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        FirstByte(),
        Paced(),
        OpenStreams(),
        PacedBeside(),
        Workers(),
        KnownUsers(),
        memory.SHORT,
        memory.LONG,
        LeftOut(),
        Tracing(),
        BackupBeside(),
        Profile(),
        Counting(),
    )
}
