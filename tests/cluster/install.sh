#!/usr/bin/env bash
# Slurm with munge, Grid Engine, CalculiX and OpenFOAM, from Debian's packages, where they are missing and apt may install; says so where not, with exit code 3.
set -u
packages="slurm-wlm munge gridengine-master gridengine-exec gridengine-client calculix-ccx openfoam"
has() { for name in munged slurmctld slurmd sbatch sge_qmaster sge_execd qsub qacct ccx icoFoam; do PATH="$PATH:/usr/sbin:/sbin" command -v "$name" >/dev/null || return 1; done; }
has && exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "The cluster test is left out: Slurm, Grid Engine, CalculiX or OpenFOAM is not installed and apt-get is not at hand (as root: apt-get install $packages)."
  exit 3
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1  # starts no daemon of the packages
install() { timeout 180 apt-get install -y -qq --no-install-recommends $packages </dev/null >/dev/null 2>&1; }
install || { timeout 90 apt-get update -qq </dev/null >/dev/null 2>&1; install; }
has || { echo "The cluster test is left out: apt-get could not install $packages."; exit 3; }
