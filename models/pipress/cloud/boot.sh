#!/bin/bash
# What an instance runs at its first boot. infra/builder/aws/user-data.ts puts these lines under the first one:
#
#   settings='{…}'       its settings; pipress/cloud/settings.py reads it
#   queue_url='https://…' its part of the bucket
#   source_url='https://…' source_sha256='…'   the code, packed
#   region='…' dns_suffix='amazonaws.com' max_minutes=…
set -euo pipefail

: "${settings:?}" "${queue_url:?}" "${source_url:?}" "${source_sha256:?}" "${region:?}" "${dns_suffix:?}" "${max_minutes:?}"
home=/var/lib/pipress
metadata="${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}/latest"
autoscaling="${AWS_ENDPOINT_URL_AUTO_SCALING:-https://autoscaling.$region.$dns_suffix}"
token='' role=''

mkdir -p "$home"
cd "$home"
exec >>boot.log 2>&1
date +%s >booted
printf '%s' "$settings" >settings.json

# Whatever becomes of everything below: EC2 terminates an instance that powers off.
shutdown -P "+$max_minutes"

ask() { # PATH: the instance metadata service, version 2
  curl -sfS --noproxy '*' --max-time 5 -H "x-aws-ec2-metadata-token: $token" --retry 8 --retry-all-errors "$metadata/$1"
}

# SERVICE ARGS…: curl with the request signed by the instance's role. The keys go in on standard input, where no process list shows them.
signed() {
  service="$1"
  shift
  ask "meta-data/iam/security-credentials/$role" | python3 -c '
import json, sys
keys = json.load(sys.stdin)
print("user = \"{AccessKeyId}:{SecretAccessKey}\"".format(**keys))
if keys.get("Token"):
    print("header = \"x-amz-security-token: {Token}\"".format(**keys))
' | curl -K - -sfS --max-time 120 --retry 4 --aws-sigv4 "aws:amz:$region:$service" "$@"
}

# An instance that cannot take jobs leaves what it has to say in the bucket and goes; its group starts no other.
give_up() {
  set +e
  echo "this instance could not be made ready; ending it"
  instance="$(ask meta-data/instance-id)"
  signed s3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -T boot.log "$queue_url/boots/$instance-boot.log"
  leave="Action=TerminateInstanceInAutoScalingGroup&InstanceId=$instance&ShouldDecrementDesiredCapacity=true"
  signed autoscaling -o /dev/null -d "$leave&Version=2011-01-01" "$autoscaling/"
  poweroff
}
trap '[ $? = 0 ] || give_up' EXIT

token="$(curl -sfS --noproxy '*' --max-time 5 --retry 8 --retry-all-errors -X PUT \
  -H 'x-aws-ec2-metadata-token-ttl-seconds: 3600' "$metadata/api/token")"
role="$(ask meta-data/iam/security-credentials/)"

signed s3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -o source.tar.gz "$source_url"
echo "$source_sha256  source.tar.gz" | sha256sum --check --quiet
mkdir -p source
tar -xzf source.tar.gz -C source

missing=()
for needed in cmake:cmake ninja:ninja-build c++:g++ cc:gcc; do
  command -v "${needed%%:*}" >/dev/null || missing+=("${needed#*:}")
done
python3 -c 'import ensurepip' || missing+=(python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then
  apt-get -qq -o DPkg::Lock::Timeout=600 update
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=600 --no-install-recommends install "${missing[@]}"
fi

start() { # NAME ARGS…: `python3 -m pipress cloud ARGS` for good, its words in NAME.log
  name="$1"
  shift
  if [ -d /run/systemd/system ]; then
    # KillMode: a job outlives the process that took it.
    cat >"/etc/systemd/system/pipress-$name.service" <<UNIT
[Unit]
Description=pipress: $name
Wants=network-online.target
After=network-online.target

[Service]
Environment=PYTHONPATH=$home/source/models PYTHONUNBUFFERED=1
ExecStart=/usr/bin/python3 -m pipress cloud $*
StandardOutput=append:$home/$name.log
StandardError=inherit
KillMode=process
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable --now "pipress-$name.service"
  else
    PYTHONPATH="$home/source/models" PYTHONUNBUFFERED=1 setsid python3 -m pipress cloud "$@" </dev/null >>"$home/$name.log" 2>&1 &
  fi
}

# The watchdog first: from here on it looks after the instance.
start watch watch "$home"
start server serve "$home" "$home/source"
echo "ready after $(($(date +%s) - $(cat booted))) s"
