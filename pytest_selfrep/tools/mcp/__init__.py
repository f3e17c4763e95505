"""The tools of a session as an MCP server (Model Context Protocol), over streamable HTTP and over stdio.

Written out here, on the HTTP library that is there anyway: the package is installed beside the agent under
test, whose own version of an MCP library it must not decide.
"""

from pytest_selfrep.tools.mcp.endpoint import Endpoint
from pytest_selfrep.tools.mcp.server import mcp_server

__all__ = ["Endpoint", "mcp_server"]
