import type { Client } from 'pg'
import { readServerCpuUs } from './postgres-total.ts'

/** One measurement. Microseconds and bytes are per operation, undefined where the kernel does not tell. */
export type Sample = {
  readonly perSecond: number
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly postgresUs: number | undefined
  /** Of whoever asked. */
  readonly clientUs: number | undefined
  readonly walBytes: number
}

export type Measured = {
  readonly perSecond: number
  readonly operations: number
  readonly cpuUs?: number | undefined
  readonly p50Ms?: number
  readonly p99Ms?: number
}

export async function measure(admin: Client, work: () => Promise<Measured>): Promise<Sample> {
  const wal = async () => (await admin.query('select pg_current_wal_lsn() as lsn')).rows[0].lsn as string
  const [walBefore, cpuBefore] = [await wal(), await readServerCpuUs(admin)]
  const { perSecond, operations, cpuUs, p50Ms, p99Ms } = await work()
  const cpuAfter = await readServerCpuUs(admin)
  const { rows } = await admin.query('select pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::float8 as bytes', [walBefore])
  const used = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore
  return {
    perSecond,
    p50Ms,
    p99Ms,
    postgresUs: used && used / operations,
    clientUs: cpuUs && cpuUs / operations,
    walBytes: rows[0].bytes / operations,
  }
}
