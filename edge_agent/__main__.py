"""`python -m edge_agent`: the same as the console script `edge-agent`."""

from edge_agent.main import main

main()
