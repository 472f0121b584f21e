"""``python -m examples.mcp_server``"""

from examples.mcp_server.app import settings
from examples.serving import serve

if __name__ == "__main__":
    serve("examples.mcp_server.app:app", settings)
