"""Whom the agent believes when it fetches images and sends captured ones over HTTPS: the authorities of this machine,
and those of the managers it belongs to, which need not be public.

    [storage] image_ca              a file of authorities, from the settings
    <state>/tls/clients.pem         the manager's own authority, from enrolling
    <state>/tls/manager.pem         what `zvm zhcp enroll --ca` named
"""

from __future__ import annotations

import ssl

from zvmcloud.zhcp.settings import Settings, SettingsError

MANAGER = "manager.pem"


def believed(settings: Settings) -> ssl.SSLContext:
    """Blocking. SettingsError when image_ca cannot be read."""
    context = ssl.create_default_context()
    named = settings.storage.image_ca
    try:
        if named:
            context.load_verify_locations(settings.path(named))
        for file in (settings.tls_folder / "clients.pem", settings.tls_folder / MANAGER):
            if file.exists():
                context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as problem:
        raise SettingsError(f"storage.image_ca, or a file of {settings.tls_folder}: {problem}") from problem
    return context
