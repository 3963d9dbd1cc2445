"""What can go wrong with the embedded Kafka; every message says where it happened and what to do.

DevKafkaError
├── InstallError        the jars could not be had
├── TamperedError       a jar is changed, missing or extra
├── PortTakenError      the port is in use by somebody else
├── DataVersionError    the data were written by another Kafka
└── StartError          the broker died or did not answer
"""


class DevKafkaError(Exception):
    """Base of all of them: catch this one."""


class InstallError(DevKafkaError):
    """The distribution could not be downloaded. Operator action: check network, proxy and mirror, then repeat."""


class TamperedError(DevKafkaError):
    """A jar differs from the lock. Operator action: delete the folder named, it is downloaded again."""


class PortTakenError(DevKafkaError):
    """Another process has the port. Operator action: stop it or choose another port."""


class DataVersionError(DevKafkaError):
    """The data folder is of another Kafka version. Operator action: use that version or move the folder away."""


class StartError(DevKafkaError):
    """The broker did not come up. Operator action: read the log named."""
