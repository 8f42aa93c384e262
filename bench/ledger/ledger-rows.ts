import type { Client } from 'pg'
import type { Path } from '../load/path.ts'
import { transfer, transferWithCertificate } from '../load/transfer.ts'
import { type PreparedRound, performRound } from '../measure/round.ts'
import type { Options } from '../options.ts'
import type { Target } from '../targets/target.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import type { LoadOrder, LoadProcess } from './load-process.ts'
import type { Measured } from './measure-ledger.ts'
import type { TpcB } from './pgbench.ts'

export type LedgerRow = {
  readonly name: string
  /** What it is compared with. */
  readonly reference: string
  readonly referred: (stage: LedgerStage) => Promise<Measured>
  /** Once, before the first round: brings both sides to where they are between checkpoints. */
  readonly warms?: (stage: LedgerStage) => Promise<void>
  /** What it needs, put in place before anything is measured. */
  readonly prepares?: (stage: LedgerStage) => Promise<void>
  readonly measured: (stage: LedgerStage) => Promise<Measured>
  /** What the ratio should be at least, where anything is wanted of it. */
  readonly wanted?: number
  readonly p99Ms?: number
}

/** What the rows are measured on. */
export type LedgerStage = {
  readonly admin: Client
  readonly tpcB: TpcB
  readonly load: LoadProcess
  readonly target: Target
  readonly small: LedgerDatabase
  /** With `--large`. */
  readonly large: LedgerDatabase | undefined
}

export const ledgerSizes = {
  small: { accounts: 10_000, entries: 100_000 },
  large: { accounts: 1_000_000, entries: 5_000_000 },
} as const
type Size = keyof typeof ledgerSizes

const clients = 32
/** As on the other paths of the bench. */
const fewConnections = 16
/** A payment through HTTP is in one place after another (connection, thread, proof, consent, call): with fewer, these wait for each other. */
const manyConnections = 64
const gathered = { inFlight: 256, lanes: 4, movementsPerCall: 300 } as const
/** By then most pages of a large table were written since the checkpoint, and are not written to the log whole any more. */
const warmSeconds = 20
const oneByOne = (inFlight: number) => ({ inFlight, lanes: inFlight, movementsPerCall: 1 })

/** The rows of the table, in the order in which they are printed: known before there is anything to measure them on. */
export function ledgerRows({ seconds, large }: Pick<Options, 'seconds' | 'large'>): readonly LedgerRow[] {
  const ask =
    (work: LoadOrder['work'], size: Size, how: Pick<LoadOrder, 'inFlight' | 'lanes' | 'movementsPerCall'>, forSeconds = seconds) =>
    async ({ load, [size]: database }: LedgerStage) => {
      if (database === undefined) throw new Error(`the ${size} ledger is not filled`)
      const accounts = work === 'page' ? database.readable : database.accounts
      const result = await load.perform({ databaseUrl: database.url, work, seconds: forSeconds, accounts, ...how })
      return { ...result, perSecond: (result.operations * 1000) / result.elapsedMs }
    }
  const againstTpcB = { reference: `TPC-B, ${clients} clients`, referred: ({ tpcB }: LedgerStage) => tpcB.run('tpcb', seconds, clients) }
  const againstSelect = { reference: 'pgbench -S, 16 clients', referred: ({ tpcB }: LedgerStage) => tpcB.run('select', seconds, 16) }
  const oneCommit = ask('transfer', 'small', oneByOne(clients))
  const againstOneCommit = { reference: `one commit each, ${clients} in flight`, referred: oneCommit }
  const reading = { inFlight: 64, lanes: 2, movementsPerCall: 1 }
  const read: Size = large ? 'large' : 'small'
  const few = (inFlight: number): LedgerRow => ({
    name: `transfer, gathered, ${inFlight} in flight`,
    reference: `one commit each, ${inFlight} in flight`,
    referred: ask('transfer', 'small', oneByOne(inFlight)),
    measured: ask('transfer', 'small', { ...gathered, inFlight }),
    wanted: 1,
  })
  return [
    { name: `transfer, one commit each, ${clients} in flight`, ...againstTpcB, measured: oneCommit, wanted: 1.2 },
    {
      name: `transfer, gathered, ${gathered.inFlight} in flight`,
      ...againstTpcB,
      measured: ask('transfer', 'small', gathered),
      wanted: 5,
      p99Ms: 40,
    },
    { name: 'the same, all to one account', ...againstTpcB, measured: ask('hot transfer', 'small', gathered), wanted: 4.5 },
    ...(!large
      ? []
      : [
          {
            name: `the same, a million accounts, ${entriesOf('large')}`,
            ...againstTpcB,
            warms: async (stage: LedgerStage) => {
              await stage.tpcB.run('tpcb', warmSeconds, clients)
              await ask('transfer', 'large', gathered, warmSeconds)(stage)
            },
            measured: ask('transfer', 'large', gathered),
            wanted: 4.5,
          },
        ]),
    few(1),
    few(4),
    ...[transfer, transferWithCertificate].map((path) => ({
      ...throughHttp(seconds, path, manyConnections),
      ...againstOneCommit,
      wanted: 0.5,
    })),
    ...[transfer, transferWithCertificate].map((path) => ({ ...throughHttp(seconds, path, clients), ...againstOneCommit })),
    { ...throughHttp(seconds, transfer, fewConnections), ...againstOneCommit },
    {
      name: `balance, ${entriesOf(read)}`,
      ...againstSelect,
      measured: ask('balance', read, reading),
      wanted: 0.8,
    },
    {
      name: `page of 50, ${entriesOf(read)}`,
      ...againstSelect,
      measured: ask('page', read, reading),
      wanted: 0.25,
    },
    ...(!large
      ? []
      : [
          {
            name: 'the same page, to that of a small ledger',
            reference: `page of 50, ${entriesOf('small')}`,
            referred: ask('page', 'small', reading),
            measured: ask('page', 'large', reading),
            wanted: 1 / 1.2,
          },
        ]),
  ]
}

const entriesOf = (size: Size) => `${ledgerSizes[size].entries.toLocaleString('en-GB')} entries`

/** V8 optimises what has run some thousand times: rounds before that would measure its interpreter. */
const warmUpOperations = 10_000

/** As many as it did the last time in so many seconds. */
function throughHttp(
  seconds: number,
  path: Path,
  connections: number,
): Pick<LedgerRow, 'name'> & Required<Pick<LedgerRow, 'prepares' | 'measured'>> {
  let operations = warmUpOperations
  let next: PreparedRound | undefined
  return {
    name: `${path.name} through the HTTP API, ${connections} connections`,
    prepares: async ({ target }) => {
      operations = Math.max(connections, Math.ceil(operations))
      next = { operations, connections, prepared: await path.prepare(target, operations) }
    },
    measured: async ({ admin, target }) => {
      if (next === undefined) throw new Error('nothing is prepared')
      const round = await performRound(admin, target, path, next)
      operations = round.perSecond * seconds
      const cpuUs = round.mainUs === undefined || round.poolUs === undefined ? undefined : (round.mainUs + round.poolUs) * round.operations
      return { perSecond: round.perSecond, operations: round.operations, p50Ms: round.p50Ms, p99Ms: round.p99Ms, cpuUs }
    },
  }
}
