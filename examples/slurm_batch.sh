#!/bin/bash
# Two nodes with eight GPUs each lip-sync a list. After a time limit or a crash, submit again: the batch resumes.
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --requeue

export MAIN_HOST=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun bash -c 'accelerate launch --multi_gpu --num_machines "$SLURM_NNODES" --num_processes $((8 * SLURM_NNODES)) \
    --machine_rank "$SLURM_NODEID" --main_process_ip "$MAIN_HOST" --main_process_port 29500 \
    -m diff2lip_diffusers batch pairs.txt --root data --output-dir out --model diff2lip'
