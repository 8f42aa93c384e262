import { readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** CPU time of a Node.js process: its JavaScript thread, and all its others (thread pool, garbage collection, compiler). */
export type ProcessCpu = { readonly mainUs: number; readonly poolUs: number }

/** Read from the kernel per thread. Undefined where there is no /proc (macOS, Windows): the table then says so. */
export function readProcessCpu(pids: readonly number[]): ProcessCpu | undefined {
  if (process.platform !== 'linux') return undefined
  let mainUs = 0
  let poolUs = 0
  for (const pid of pids)
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const used = onCpuUs(`/proc/${pid}/task/${thread}/schedstat`)
      if (thread === String(pid)) mainUs += used
      else poolUs += used
    }
  return { mainUs, poolUs }
}

export function readThreadCpu(pid: number): number | undefined {
  return process.platform === 'linux' ? onCpuUs(`/proc/${pid}/schedstat`) : undefined
}

/** A thread or process that has ended meanwhile counts as nothing. */
function onCpuUs(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8').split(' ')[0]) / 1000
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0
    throw error
  }
}

/** CPU time of all cores since the machine started, whoever used it. */
export function busyUs(): number {
  return cpus().reduce((sum, { times }) => sum + (times.user + times.nice + times.sys + times.irq) * 1000, 0)
}
