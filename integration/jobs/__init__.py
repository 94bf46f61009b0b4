"""What runs inside the cluster: one PySpark application and the SQL that it answers."""
