/**
 * A child of run-crashes.ts: moves money by every kind of movement until it is killed. What it asks is fixed by its number, so that
 * another one can ask the same again. Says which were answered.
 */
import { once } from 'node:events'
import { systemClock } from '@bankside/service-kit/clock'
import { Unavailable } from '@bankside/service-kit/refusal'
import type { AccountId, HoldId } from '../../ids.ts'
import type { Movement, MovementOutcome, Operation } from '../movement.ts'
import { movementKey } from '../movement-key.ts'
import { type MovementWriter, openMovementWriter } from '../movement-writer.ts'
import { randomFrom } from './random.ts'

export type CrashOrder = {
  readonly databaseUrl: string
  readonly accounts: readonly AccountId[]
  /** Asked before by others and not answered: asked again first. */
  readonly again: readonly number[]
  readonly from: number
  readonly inFlight: number
}
export type CrashAnswer = { readonly asked: number } | { readonly answered: number; readonly made: readonly string[] }

const words = { description: 'Crash', reference: 'CRASH' } as const

const [order] = (await once(process, 'message')) as [CrashOrder]
process.once('disconnect', () => process.exit())
const writer = openMovementWriter(order.databaseUrl, { clock: systemClock })
const tell = (answer: CrashAnswer) => process.send?.(answer)
await Promise.all(order.again.map((number) => move(writer, number)))
let next = order.from
await Promise.all(
  Array.from({ length: order.inFlight }, async () => {
    for (;;) await move(writer, next++)
  }),
)

async function move(to: MovementWriter, number: number): Promise<void> {
  tell({ asked: number })
  const outcome = await untilAnswered(to, movementOf(number))
  tell({ answered: number, made: 'made' in outcome ? outcome.made : [] })
  const holdId = 'made' in outcome ? outcome.made.find((id): id is HoldId => id.startsWith('hld')) : undefined
  if (holdId === undefined) return
  const key = keyOf(`${number} of ${holdId}`)
  const operation: Operation = number % 2 === 0 ? { kind: 'release', holdId } : { kind: 'capture', holdId, to: pick(number + 1), ...words }
  await untilAnswered(to, { key, operations: [operation], actor: 'crash' })
}

/** The same movement under the same key, as often as it takes. */
async function untilAnswered(to: MovementWriter, movement: Movement): Promise<MovementOutcome> {
  for (;;) {
    try {
      return await to.write(movement)
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      await new Promise((done) => setTimeout(done, 20))
    }
  }
}

function movementOf(number: number): Movement {
  const random = randomFrom(number)
  const amount = { minor: BigInt(1 + random.below(100)), currency: 'GBP' } as const
  const [from, to, fee] = [pick(number), pick(number + 1 + random.below(3)), pick(number + 5)]
  const back = { ...amount, minor: -amount.minor }
  const operation: Operation =
    number % 3 === 0
      ? { kind: 'hold', accountId: from, amount, expiresAt: new Date(systemClock.now().getTime() + 3_600_000) }
      : number % 3 === 1
        ? { kind: 'transfer', from, to, amount, ...words }
        : {
            kind: 'legs',
            legs: [
              { accountId: from, amount: { ...back, minor: back.minor - 1n }, other: to },
              { accountId: to, amount, other: from },
              { accountId: fee, amount: { ...amount, minor: 1n }, other: from },
            ],
            ...words,
          }
  return { key: keyOf(String(number)), operations: [operation], actor: 'crash' }
}

function keyOf(key: string) {
  return movementKey({ clientId: 'crash', method: 'COMMAND', endpoint: 'move', key, request: key })
}

function pick(number: number): AccountId {
  return order.accounts[number % order.accounts.length] as AccountId
}
