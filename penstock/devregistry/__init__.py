"""A real schema registry on this machine with nothing but pip: Apicurio Registry on the JVM and from the Maven mirror of the embedded Kafka."""

from penstock.devregistry.process import Running, start, status, stop

__all__ = ["Running", "start", "status", "stop"]
