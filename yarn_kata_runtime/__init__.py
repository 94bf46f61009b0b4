"""An OCI runtime between YARN's LinuxContainerExecutor and a sandbox."""

__version__ = "0.1.0"
