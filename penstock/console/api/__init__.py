"""The REST API and the server-sent events: shapes, security, endpoints, and the OpenAPI document made of them."""
