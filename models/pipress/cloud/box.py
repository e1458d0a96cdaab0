"""What everything on a box has in hand: its settings, who it is, its desk in the bucket, the APIs it may call."""

from dataclasses import dataclass
from pathlib import Path

from pipress.cloud.checkpoint import has_checkpoint, pack
from pipress.cloud.desk import Desk
from pipress.cloud.metadata import Instance, Metadata
from pipress.cloud.objects import Objects
from pipress.cloud.place import Place
from pipress.cloud.services import Services
from pipress.cloud.settings import Settings, read_settings
from pipress.store.s3_address import parse_s3_url


@dataclass(frozen=True)
class Box:
    place: Place
    settings: Settings
    metadata: Metadata
    instance: Instance
    objects: Objects
    desk: Desk
    services: Services

    def upload_log(self, key: str) -> None:
        """The job's log as it is now."""
        log = self.place.job(key).log
        if log.is_file():
            self.objects.put(self.desk.log(key), log.read_bytes())

    def upload_checkpoint(self, key: str) -> bool:
        """What the job has saved so far. Returns False when that is nothing."""
        folder = self.place.job(key).folder
        if not has_checkpoint(folder):
            return False
        tar = self.place.home / f"{key}.tar"
        try:
            pack(folder, tar)
            self.objects.put(self.desk.checkpoint(key), tar)
        finally:
            tar.unlink(missing_ok=True)
        return True


def open_box(home: Path) -> Box:
    """The box that boot.sh made ready in `home`."""
    place = Place(home)
    settings, metadata = read_settings(place.settings), Metadata()
    objects = Objects(parse_s3_url(settings.store), settings.region, metadata.credentials)
    services = Services(settings.region, metadata.credentials)
    return Box(place, settings, metadata, metadata.instance(), objects, Desk(objects, settings.box), services)
