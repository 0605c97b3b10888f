"""`python -m central_server`: the same as the console script `central-server`."""

from central_server.main import main

main()
