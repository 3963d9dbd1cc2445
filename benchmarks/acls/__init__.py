"""ACLs taken away one by one: does a worker say which one it misses?"""
