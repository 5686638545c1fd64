"""Interface files as kernels wrote them."""

from __future__ import annotations

V1_CPU_STAT = "nr_periods 2\nnr_throttled 0\nthrottled_time 0\nnr_bursts 0\nburst_time 0\n"
V2_CPU_STAT = """\
usage_usec 1275253
user_usec 1014675
system_usec 260578
nice_usec 0
core_sched.force_idle_usec 0
nr_periods 29
nr_throttled 24
throttled_usec 1340108
nr_bursts 0
burst_usec 0
"""
V2_CPU_STAT_WITHOUT_CONTROLLER = "usage_usec 25929\nuser_usec 11112\nsystem_usec 14816\n"
CPU_PRESSURE = """\
some avg10=0.00 avg60=0.00 avg300=0.00 total=10624
full avg10=0.00 avg60=0.00 avg300=0.00 total=5861
"""
V1_MEMORY_STAT = """\
cache 2187264
rss 102400
swap 0
workingset_refault_anon 0
workingset_refault_file 17
hierarchical_memory_limit 67108864
total_inactive_file 2183168
"""
V2_MEMORY_STAT = (
    "anon 102400\nfile 2187264\nkernel_stack 16384\ninactive_file 2183168\n"
    "workingset_refault_anon 0\nworkingset_refault_file 17\n"
)
OOM_CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"
MEMORY_EVENTS = "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\noom_group_kill 0\n"
IO_STAT = """\
254:16 rbytes=1449984 wbytes=3145728 rios=18 wios=24 dbytes=0 dios=0
254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0
"""
