#!/usr/bin/env bash
# Slurm with munge, and Grid Engine, from Debian's packages, where they are missing and apt may install; says so where not, with exit code 3.
# CalculiX, OpenFOAM and Chromium too, whose tests are skipped without them.
set -u
packages="slurm-wlm munge gridengine-master gridengine-exec gridengine-client"
programs="calculix-ccx openfoam"
present() { for name in "$@"; do PATH="$PATH:/usr/sbin:/sbin" command -v "$name" >/dev/null || return 1; done; }
has() { present munged slurmctld slurmd sbatch sge_qmaster sge_execd qsub qacct; }
has && present ccx icoFoam chromium && exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  has && exit 0
  echo "The cluster test is left out: Slurm or Grid Engine is not installed and apt-get is not at hand (as root: apt-get install $packages)."
  exit 3
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1  # starts no daemon of the packages
install() { timeout 180 apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null 2>&1; }
has || install $packages || { timeout 90 apt-get update -qq </dev/null >/dev/null 2>&1; install $packages; }
has || { echo "The cluster test is left out: apt-get could not install $packages."; exit 3; }
present ccx icoFoam || install $programs || echo "CalculiX and OpenFOAM are left out: apt-get could not install $programs."
present chromium || install chromium || echo "Chromium is left out: apt-get could not install it."
