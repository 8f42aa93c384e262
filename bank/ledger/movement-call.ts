import { minorDigits } from '../currencies.ts'
import { type EntryId, type HoldId, newAuditRecordId, newEntryId, newEventId, newHoldId } from '../ids.ts'
import { type Exchange, reckonExchange } from './exchange.ts'
import type { Capture, Hold, Leg, Movement, Operation, Reversal, Transfer } from './movement.ts'
import { operationEvents, operationFacts } from './movement-facts.ts'
import type { Party } from './party.ts'

/** How long a key is remembered (RW-ID-02). */
export const movementKeyRememberedMs = 24 * 60 * 60 * 1000

/** A call of `ledger.write`, and the ids that it makes: for each movement, those of its operations. */
export type MovementCall = { readonly values: readonly (string | null)[]; readonly made: readonly (readonly (EntryId | HoldId)[])[] }

/** Arrays of the call in their order, each with the type that its parameter has. */
const columns = {
  movement: ['uuid', 'bytea', 'text'],
  operation: [
    ...[
      'integer',
      'text',
      'text',
      'text',
      'text',
      'numeric',
      'text',
      'text',
      'text',
      'text',
      'text',
      'text',
      'text',
      'date',
      'timestamptz',
    ],
  ],
  leg: ['integer', 'integer', 'text', 'text', 'text', 'numeric', 'numeric', 'text', 'text', 'text', 'text'],
  event: ['integer', 'text', 'text', 'text', 'text', 'text', 'text'],
  record: ['integer', 'text', 'text', 'text', 'text', 'text', 'text'],
} as const
type Table = keyof typeof columns
type Cell = string | number | bigint | null

const types = [
  ...['timestamptz', 'timestamptz'],
  ...[...columns.movement, ...columns.operation, ...columns.leg].map((type) => `${type}[]`),
  'jsonb',
  ...[...columns.event, ...columns.record].map((type) => `${type}[]`),
]
export const movementStatement = {
  name: 'ledger_write',
  text: `select outcome, replayed from ledger.write(${types.map((type, index) => `$${index + 1}::${type}`).join(', ')})`,
}

/** One call for all of these movements, in this order. */
export function movementCall(movements: readonly Movement[], now: Date): MovementCall {
  const rows: Rows = {
    movement: newTable('movement'),
    operation: newTable('operation'),
    leg: newTable('leg'),
    event: newTable('event'),
    record: newTable('record'),
    exchanges: [],
    operations: 0,
  }
  const made = movements.map((movement, index) => addMovement(rows, movement, index + 1, now))
  const literals = (table: Table) => rows[table].map((cells, column) => arrayLiteral(cells, columns[table][column] === 'text'))
  return {
    made,
    values: [
      now.toISOString(),
      new Date(now.getTime() - movementKeyRememberedMs).toISOString(),
      ...literals('movement'),
      ...literals('operation'),
      ...literals('leg'),
      rows.exchanges.length === 0 ? null : JSON.stringify(rows.exchanges),
      ...literals('event'),
      ...literals('record'),
    ],
  }
}

const transferTypes = [
  ...['timestamptz', 'uuid', 'bytea', 'text', 'text', 'text', 'text', 'numeric', 'text', 'text', 'text', 'date'],
  ...['text', 'text', 'text', 'text', 'text', 'text', 'text', 'text', 'text', 'text', 'text', 'text'],
]
export const transferStatement = {
  name: 'ledger_write_transfer',
  text: `select ledger.write_transfer(${transferTypes.map((type, index) => `$${index + 1}::${type}`).join(', ')}) as outcome`,
}

/** The call for a movement that is one transfer and nothing else; undefined for any other. */
export function transferCall({ key, operations, actor, interactionId = null as never }: Movement, now: Date): MovementCall | undefined {
  const [operation, another] = operations
  if (another !== undefined || (operation.kind !== 'transfer' && operation.kind !== 'opening')) return undefined
  const { kind, from, to, amount, description, reference, valueDate = null as never, debtor, creditor } = operation
  const entryId = newEntryId(now)
  const facts = JSON.stringify({ made: [entryId], operations: [operationFacts(operation)] })
  return {
    made: [[entryId]],
    values: [
      ...[now.toISOString(), key.id, `\\x${key.requestHash}`, entryId, kind, from, to, amount.minor.toString(), amount.currency],
      ...[description, reference, valueDate, ...partyCells(debtor), ...partyCells(creditor)],
      ...[newEventId(now), operationEvents[kind], newAuditRecordId(now), actor, interactionId, facts],
    ],
  }
}

type Rows = Record<Table, Cell[][]> & { readonly exchanges: object[]; operations: number }
const newTable = (table: Table): Cell[][] => columns[table].map(() => [])

function add(table: Cell[][], cells: readonly Cell[]): void {
  for (let column = 0; column < cells.length; column++) (table[column] as Cell[]).push(cells[column] as Cell)
}

/** Only text can hold what an array literal must not. */
function arrayLiteral(cells: readonly Cell[], isText: boolean): string {
  let text = '{'
  for (let index = 0; index < cells.length; index++) {
    const cell = cells[index] as Cell
    if (index > 0) text += ','
    if (cell === null) text += 'NULL'
    else if (isText) text += `"${needsEscape.test(cell as string) ? (cell as string).replaceAll(/["\\]/g, '\\$&') : cell}"`
    else text += cell
  }
  return `${text}}`
}
const needsEscape = /["\\]/

function addMovement(rows: Rows, movement: Movement, number: number, now: Date): readonly (EntryId | HoldId)[] {
  const { key, operations, actor, interactionId = null } = movement
  const made = operations.flatMap((operation) => addOperation(rows, operation, number, now) ?? [])
  add(rows.movement, [key.id, `"\\\\x${key.requestHash}"`, made.join(' ')])
  const [first] = operations
  const subject = made[0] ?? ('holdId' in first ? first.holdId : key.id)
  const facts = JSON.stringify({ made, operations: operations.map(operationFacts) })
  add(rows.event, [number, newEventId(now), operationEvents[first.kind], subject, null, null, facts])
  add(rows.record, [number, newAuditRecordId(now), actor, operationEvents[first.kind], subject, interactionId, facts])
  return made
}

/** @returns the id of the entry or hold that it makes. */
function addOperation(rows: Rows, operation: Operation, movement: number, now: Date): EntryId | HoldId | undefined {
  const at = { rows, movement, operation: ++rows.operations }
  switch (operation.kind) {
    case 'transfer':
    case 'opening':
      return addTransfer(at, operation, newEntryId(now))
    case 'legs':
      return addEntry(at, { ...operation, kind: 'transfer' }, newEntryId(now), operation.legs)
    case 'exchange':
      return addExchange(at, operation, newEntryId(now))
    case 'reversal':
      return addReversal(at, operation, newEntryId(now))
    case 'hold':
      return addHold(at, operation, newHoldId(now))
    case 'capture':
      return addCapture(at, operation, newEntryId(now))
    case 'release':
      add(rows.operation, [movement, 'release', null, operation.holdId, null, null, null, null, null, null, null, null, null, null, null])
      return undefined
  }
}

type Place = { readonly rows: Rows; readonly movement: number; readonly operation: number }

function addLeg({ rows, movement, operation }: Place, entryId: string | null, leg: Leg, heldMinor = 0n): void {
  const { accountId, amount, other, counterparty: told } = leg
  const party = partyCells(told)
  add(rows.leg, [movement, operation, entryId, accountId, amount.currency, amount.minor, heldMinor, other, ...party])
}

function addTransfer(at: Place, { from, to, amount, debtor, creditor, ...booking }: Transfer, entryId: EntryId): EntryId {
  add(at.rows.operation, entryRow(at, booking, entryId, amount.currency))
  addLeg(at, entryId, { accountId: from, amount: { ...amount, minor: -amount.minor }, other: to, counterparty: creditor })
  addLeg(at, entryId, { accountId: to, amount, other: from, counterparty: debtor })
  return entryId
}

type Booked = { readonly kind: string; readonly description: string; readonly reference: string; readonly valueDate?: string | undefined }

function entryRow(
  { movement }: Place,
  { kind, description, reference, valueDate = null as never }: Booked,
  entryId: EntryId,
  currency: string | null,
): Cell[] {
  return [movement, kind, entryId, null, null, null, currency, null, null, null, description, reference, null, valueDate, null]
}

function addEntry(at: Place, booked: Booked, entryId: EntryId, legs: readonly Leg[]): EntryId {
  const [currency = null, another] = new Set(legs.map(({ amount }) => amount.currency))
  add(at.rows.operation, entryRow(at, booked, entryId, another === undefined ? currency : null))
  for (const leg of legs) addLeg(at, entryId, leg)
  return entryId
}

function addExchange(at: Place, exchange: Exchange, entryId: EntryId): EntryId {
  const { from, to, sold, rate, positions, residueTo } = exchange
  const { bought, priced, residue } = reckonExchange(sold, rate)
  const minus = ({ minor, currency }: typeof sold) => ({ minor: -minor, currency })
  addEntry(at, exchange, entryId, [
    { accountId: from, amount: minus(sold), other: to },
    { accountId: positions.sold, amount: priced, other: from },
    ...(residue.minor > 0n ? [{ accountId: residueTo, amount: residue, other: from }] : []),
    { accountId: positions.bought, amount: minus(bought), other: to },
    { accountId: to, amount: bought, other: from },
  ])
  at.rows.exchanges.push({
    ...{ movement: at.movement, entry_id: entryId },
    ...{
      sold_currency: sold.currency,
      sold_digits: minorDigits[sold.currency],
      sold_minor: `${sold.minor}`,
      priced_minor: `${priced.minor}`,
    },
    ...{ bought_currency: bought.currency, bought_digits: minorDigits[bought.currency], bought_minor: `${bought.minor}` },
    ...{ price_units: `${rate.units}`, price_scale: rate.scale, source: rate.source, quoted_at: rate.quotedAt },
  })
  return entryId
}

function addReversal(
  at: Place,
  { entryId: target, amountMinor = null as never, legs = [], ...booked }: Reversal,
  entryId: EntryId,
): EntryId {
  const { description, reference, valueDate = null as never } = booked
  add(at.rows.operation, [
    at.movement,
    'reversal',
    entryId,
    target,
    null,
    amountMinor,
    null,
    null,
    null,
    null,
    description,
    reference,
    null,
    valueDate,
    null,
  ])
  for (const leg of legs) addLeg(at, entryId, leg)
  return entryId
}

function addHold(at: Place, { accountId, amount, expiresAt }: Hold, holdId: HoldId): HoldId {
  const none = [null, null, null, null, null, null, null]
  add(at.rows.operation, [
    at.movement,
    'hold',
    holdId,
    null,
    accountId,
    amount.minor,
    amount.currency,
    ...none,
    `"${expiresAt.toISOString()}"`,
  ])
  addLeg(at, null, { accountId, amount: { minor: 0n, currency: amount.currency }, other: accountId }, amount.minor)
  return holdId
}

function addCapture(
  at: Place,
  { holdId, to, amountMinor = null as never, keepsRest, creditor, ...booked }: Capture,
  entryId: EntryId,
): EntryId {
  const { description, reference, valueDate = null as never } = booked
  const party = partyCells(creditor)
  const kind = keepsRest === true ? 'capture_part' : 'capture'
  add(at.rows.operation, [
    at.movement,
    kind,
    entryId,
    holdId,
    to,
    amountMinor,
    null,
    ...party,
    description,
    reference,
    null,
    valueDate,
    null,
  ])
  return entryId
}

function partyCells(party: Party | undefined): (string | null)[] {
  return [party?.name ?? null, party?.schemeName ?? null, party?.identification ?? null]
}
