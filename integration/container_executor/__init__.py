"""A stand-in for Hadoop's native container-executor, which no package registry carries.

It keeps to what the genuine one of Hadoop 3.4.2 was recorded to do (argv, command files, messages, exit
codes, polling, owners and modes) for containers of type docker and for plain processes, and refuses what
that refuses.  It is for the mini-cluster and its tests; a real cluster has the genuine one.
"""
