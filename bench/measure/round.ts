import type { Client } from 'pg'
import { closedLoop } from '../load/closed-loop.ts'
import { openConnection } from '../load/connection.ts'
import type { Path } from '../load/path.ts'
import { quantile } from '../report/statistics.ts'
import type { Target } from '../targets/target.ts'
import { busyUs, readProcessCpu } from './cpu.ts'
import { postgresCpuBetween, readPostgresCpu } from './postgres-cpu.ts'

/** One round of one path on one side. CPU is microseconds per operation, undefined where the kernel does not tell. */
export type Round = {
  readonly operations: number
  readonly elapsedMs: number
  readonly perSecond: number
  /** Counted until what was answered is also done; the same as `perSecond` where nothing comes later. */
  readonly settledPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly mainUs: number | undefined
  readonly poolUs: number | undefined
  readonly postgresUs: number | undefined
  /** Share of one core that the load generator took while the clock ran. */
  readonly generatorShare: number
  /** How many cores everything else on the machine kept busy meanwhile. Undefined where the kernel does not tell. */
  readonly foreignCores: number | undefined
  readonly negotiated: string
}

export const connectionsPerRound = 16

/** Prepares everything, opens the connections, then starts the clock: neither signing nor handshakes are measured. */
export async function measureRound(admin: Client, target: Target, path: Path, operations: number): Promise<Round> {
  return performRound(admin, target, path, { operations, prepared: await path.prepare(target, operations) })
}

export type PreparedRound = {
  readonly operations: number
  readonly prepared: Awaited<ReturnType<Path['prepare']>>
  readonly connections?: number
}

/** For whoever also counts what the whole server does meanwhile: what was prepared is none of that. */
export async function performRound(admin: Client, target: Target, path: Path, round: PreparedRound): Promise<Round> {
  const { operations, prepared, connections: count = connectionsPerRound } = round
  const { origin, credentials } = path.connects(target)
  const connections = await Promise.all(Array.from({ length: count }, () => openConnection(origin, credentials)))
  try {
    const postgresBefore = await readPostgresCpu(admin, target.databaseName)
    const processBefore = readProcessCpu(target.pids)
    const generatorBefore = process.cpuUsage()
    const busyBefore = busyUs()
    const started = performance.now()
    const { elapsedMs, latenciesMs } = await closedLoop(connections, operations, prepared.perform)
    const generator = process.cpuUsage(generatorBefore)
    await prepared.settle?.()
    const settledMs = prepared.settle ? performance.now() - started : elapsedMs
    const processAfter = readProcessCpu(target.pids)
    const postgresUs = postgresCpuBetween(postgresBefore, await readPostgresCpu(admin, target.databaseName))
    const used = processBefore &&
      processAfter && {
        mainUs: processAfter.mainUs - processBefore.mainUs,
        poolUs: processAfter.poolUs - processBefore.poolUs,
        postgresUs,
      }
    const whole = process.cpuUsage(generatorBefore)
    const ownUs = used && used.mainUs + used.poolUs + used.postgresUs + whole.user + whole.system
    const foreignUs = ownUs && Math.max(0, busyUs() - busyBefore - ownUs)
    const windowUs = (performance.now() - started) * 1000
    await prepared.check()
    await target.comeToRest()
    latenciesMs.sort()
    return {
      operations,
      elapsedMs,
      perSecond: (operations * 1000) / elapsedMs,
      settledPerSecond: (operations * 1000) / settledMs,
      p50Ms: quantile(latenciesMs, 0.5),
      p99Ms: quantile(latenciesMs, 0.99),
      mainUs: used && used.mainUs / operations,
      poolUs: used && used.poolUs / operations,
      postgresUs: used && used.postgresUs / operations,
      generatorShare: (generator.user + generator.system) / 1000 / elapsedMs,
      foreignCores: foreignUs === undefined ? undefined : foreignUs / windowUs,
      negotiated: connections[0]?.negotiated ?? '',
    }
  } finally {
    for (const connection of connections) connection.close()
  }
}
