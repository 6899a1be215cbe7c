"""The native API below ``/v1``: OpenAPI 3.1 at ``/v1/openapi.json``, problem documents (RFC 9457), server-sent events.

Every route but ``/v1/health`` and image content needs ``Authorization: Bearer <token>``; the manager stores only the
token's hash. Image content is read by agents with the token of the job they work for. Pydantic models live here and
nowhere below.
"""
