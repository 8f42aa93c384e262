/**
 * A process that asks the ledger for as much as it can, as told by messages: a child of the bench, which measures it from outside.
 * Each message is a {@link LoadOrder}; each is answered with a {@link LoadResult}.
 */
import { randomUUID } from 'node:crypto'
import { systemClock } from '@bankside/service-kit/clock'
import { openPrepared, type Prepared } from '@bankside/service-kit/prepared'
import type { AccountId } from '../../ids.ts'
import { movementKey } from '../movement-key.ts'
import { openMovementWriter } from '../movement-writer.ts'

export type LoadOrder = {
  readonly databaseUrl: string
  readonly work: 'transfer' | 'hot transfer' | 'balance' | 'page'
  readonly inFlight: number
  readonly lanes: number
  readonly movementsPerCall: number
  readonly seconds: number
  readonly accounts: readonly AccountId[]
}
export type LoadResult = {
  readonly operations: number
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuUs: number
}

process.on('message', (order: LoadOrder) => {
  perform(order).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )
})
process.send?.('ready')

const warmUpMs = 500

async function perform(order: LoadOrder): Promise<LoadResult> {
  const { operation, close } = order.work === 'balance' || order.work === 'page' ? reads(order) : transfers(order)
  await repeat(order.inFlight, warmUpMs, operation)
  const latencies: number[] = []
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  await repeat(order.inFlight, order.seconds * 1000, async () => {
    const asked = performance.now()
    await operation()
    latencies.push(performance.now() - asked)
  })
  const elapsedMs = performance.now() - started
  const { user, system } = process.cpuUsage(cpuBefore)
  await close()
  latencies.sort((one, other) => one - other)
  const at = (part: number) => latencies[Math.floor((latencies.length - 1) * part)] ?? Number.NaN
  return { operations: latencies.length, elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99), cpuUs: user + system }
}

async function repeat(inFlight: number, forMs: number, operation: () => Promise<unknown>): Promise<void> {
  const until = performance.now() + forMs
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < until) await operation()
    }),
  )
}

type Load = { readonly operation: () => Promise<unknown>; readonly close: () => Promise<void> }

function transfers({ databaseUrl, work, lanes, movementsPerCall, accounts }: LoadOrder): Load {
  const writer = openMovementWriter(databaseUrl, { clock: systemClock, lanes, movementsPerCall })
  const [hot] = accounts
  const operation = async () => {
    const from = any(accounts)
    const to = work === 'hot transfer' && hot !== undefined ? hot : any(accounts)
    if (from === to) return
    const outcome = await writer.write({
      key: movementKey({ clientId: 'load', method: 'COMMAND', endpoint: 'transfer', key: randomUUID(), request: { from, to } }),
      actor: 'load',
      operations: [{ kind: 'transfer', from, to, amount: { minor: 1n, currency: 'GBP' }, description: 'Load', reference: 'LOAD' }],
    })
    if ('declined' in outcome) throw new Error(`declined: ${outcome.declined}`)
  }
  return { operation, close: writer.close }
}

const balance = 'select currency, posted_minor, held_minor, overdraft_minor from ledger.account where account_id = $1'
const page = `
  select posting_number, entry_id, currency, amount_minor, balance_minor, booked_at from ledger.posting
  where account_id = $1 order by booked_at desc, posting_number desc limit 50`

function reads({ databaseUrl, work, accounts }: LoadOrder): Load {
  const prepared: Prepared = openPrepared(databaseUrl, { maxConnections: 2 })
  const [name, text, rows] = work === 'balance' ? ['balance', balance, 1] : ['page', page, 50]
  const operation = async () => {
    const found = await prepared.query(name as string, text as string, [any(accounts)])
    if (found.length !== rows) throw new Error(`${found.length} rows instead of ${rows}`)
  }
  return { operation, close: prepared.end }
}

const any = (accounts: readonly AccountId[]) => accounts[Math.floor(Math.random() * accounts.length)] as AccountId
