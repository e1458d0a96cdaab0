"""What both processes of an instance use: its settings and identity, its job queue, the APIs it may call."""

from dataclasses import dataclass
from pathlib import Path

from pipress.cloud.checkpoint import has_checkpoint, pack
from pipress.cloud.home import Home
from pipress.cloud.job_queue import JobQueue
from pipress.cloud.metadata import Instance, Metadata
from pipress.cloud.objects import Objects
from pipress.cloud.services import Services
from pipress.cloud.settings import Settings, read_settings
from pipress.store.s3_address import parse_s3_url


@dataclass(frozen=True)
class Worker:
    home: Home
    settings: Settings
    metadata: Metadata
    instance: Instance
    objects: Objects
    queue: JobQueue
    services: Services

    def upload_log(self, key: str) -> None:
        """The job's log as it is now."""
        log = self.home.job(key).log
        if log.is_file():
            self.objects.put(self.queue.log(key), log.read_bytes())

    def upload_checkpoint(self, key: str) -> bool:
        """What the job has saved so far. Returns False when that is nothing."""
        folder = self.home.job(key).folder
        if not has_checkpoint(folder):
            return False
        tar = self.home.root / f"{key}.tar"
        try:
            pack(folder, tar)
            self.objects.put(self.queue.checkpoint(key), tar)
        finally:
            tar.unlink(missing_ok=True)
        return True


def open_worker(root: Path) -> Worker:
    """The instance that boot.sh made ready in `root`."""
    home = Home(root)
    settings, metadata = read_settings(home.settings), Metadata()
    objects = Objects(parse_s3_url(settings.store), settings.region, settings.dns_suffix, metadata.credentials)
    services = Services(settings.region, settings.dns_suffix, metadata.credentials)
    return Worker(home, settings, metadata, metadata.instance(), objects, JobQueue(objects, settings.queue), services)
