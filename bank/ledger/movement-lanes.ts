import { openPipelinedConnection, type PipelinedConnection } from '@bankside/service-kit/pipelined-connection'
import { connectionSettings } from '@bankside/service-kit/prepared'
import { accountsNamedBy } from './accounts-named.ts'
import type { Movement } from './movement.ts'

/** One call at a time, on a connection of its own. */
export type Lane = {
  /** @throws {Unavailable}; what PostgreSQL reports. */
  readonly call: <Row extends object>(statement: { name: string; text: string }, values: readonly (string | null)[]) => Promise<Row[]>
}

export type Lanes = {
  /** Undefined while all are busy. */
  readonly take: () => Lane | undefined
  readonly give: (lane: Lane) => void
  readonly busy: () => number
  /** All accounts that a movement may touch: known, or read where only a hold or an entry is named, of which they never change. */
  readonly accountsOf: (movement: Movement) => Promise<readonly string[]> | readonly string[]
  readonly close: () => Promise<void>
}

/**
 * The writing function is planned once for each connection, while tables may be small: found by their keys, rows stay cheap
 * when tables have grown, and they come in the order in which they are locked.
 */
const planning = [
  'plan_cache_mode=force_generic_plan',
  ...['seqscan', 'hashjoin', 'mergejoin', 'bitmapscan'].map((way) => `enable_${way}=off`),
  'jit=off',
]
  .map((setting) => `-c ${setting}`)
  .join(' ')
const callTakesAtMostMs = 10_000

export function openLanes(databaseUrl: string, count: number): Lanes {
  const settings = { ...connectionSettings(databaseUrl, { statementTimeoutMs: callTakesAtMostMs }), options: planning }
  const reopened = reopening(() => openPipelinedConnection(settings))
  const newLane = (): Lane => {
    const connection = reopened()
    return {
      async call<Row extends object>(statement: { name: string; text: string }, values: readonly (string | null)[]) {
        const { rows } = await connection.now().query<Row>({ ...statement, values: values as (string | null)[] })
        return rows
      },
    }
  }
  const reader = reopened()
  const all = Array.from({ length: count }, newLane)
  const idle = [...all]
  return {
    take: () => idle.pop(),
    give: (lane) => void idle.push(lane),
    busy: () => count - idle.length,
    accountsOf: (movement) => {
      const known = movement.operations.flatMap(accountsNamedBy)
      const holds = movement.operations.flatMap((operation) => ('holdId' in operation ? operation.holdId : []))
      const entries = movement.operations.flatMap((operation) => ('entryId' in operation ? operation.entryId : []))
      if (holds.length === 0 && entries.length === 0) return known
      return accountsBehind(reader.now(), holds, entries).then((behind) => [...known, ...behind])
    },
    close: () => reopened.close(),
  }
}

const behindStatement = {
  name: 'ledger_accounts_behind',
  text: `select account_id from ledger.hold where hold_id = any ($1::text[])
    union select account_id from ledger.posting where entry_id = any ($2::text[])`,
}

async function accountsBehind(
  reader: PipelinedConnection,
  holds: readonly string[],
  entries: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await reader.query<{ account_id: string }>({ ...behindStatement, values: [holds, entries] as string[][] })
  return rows.map(({ account_id }) => account_id)
}

/** Connections that are opened when they are needed, and again when they were lost. */
function reopening(open: () => PipelinedConnection) {
  const all = new Set<() => PipelinedConnection | undefined>()
  const another = () => {
    let connection: PipelinedConnection | undefined
    all.add(() => connection)
    return {
      now: () => {
        if (connection === undefined || connection.isLost()) connection = open()
        return connection
      },
    }
  }
  return Object.assign(another, { close: async () => void (await Promise.all([...all].map((connection) => connection()?.end()))) })
}
