import { readFileSync } from 'node:fs'

/** Resident memory of each process. Undefined where there is no /proc. */
export function residentMegabytes(pids: readonly number[]): readonly number[] | undefined {
  if (process.platform !== 'linux') return undefined
  return pids.map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024)
}
