import { minorDigits } from '../currencies.ts'
import { type AccountId, type EntryId, type HoldId, newAuditRecordId, newEntryId, newHoldId } from '../ids.ts'
import { accountsNamedBy } from './accounts-named.ts'
import { type ArrayLiteral, type Cell, openArrayLiteral } from './array-literal.ts'
import { type Exchange, reckonExchange } from './exchange.ts'
import type { Capture, Hold, Leg, Movement, Operation, Reversal, Transfer } from './movement.ts'
import { operationFacts, recordedActions } from './movement-facts.ts'
import type { Party } from './party.ts'

/** How long a key is remembered (RW-ID-02). */
export const movementKeyRememberedMs = 24 * 60 * 60 * 1000

/** A call of `ledger.write`, and the ids that it makes: for each movement, those of its operations. */
export type MovementCall = { readonly values: readonly (string | null)[]; readonly made: readonly (readonly (EntryId | HoldId)[])[] }

/** Arrays of the call in their order, each with the type that its parameter has. */
const columns = {
  movement: ['uuid', 'bytea', 'text'],
  account: ['text'],
  operation: [
    ...['integer', 'text', 'text', 'text', 'text', 'numeric', 'text', 'text', 'text', 'text', 'text', 'text', 'text', 'date'],
    ...['timestamptz', 'text', 'text'],
  ],
  leg: ['integer', 'integer', 'integer', 'text', 'numeric', 'numeric', 'text', 'text', 'text'],
  record: ['integer', 'text', 'text', 'text', 'text', 'text', 'text'],
} as const
type Table = keyof typeof columns

const arrayTypes = (...tables: Table[]) => tables.flatMap((table) => columns[table].map((type) => `${type}[]`))
const types = [
  ...['timestamptz', 'timestamptz', 'text'],
  ...arrayTypes('movement', 'account', 'operation', 'leg'),
  'jsonb',
  ...arrayTypes('record'),
]
export const movementStatement = {
  name: 'ledger_write',
  text: `select outcome, replayed from ledger.write(${types.map((type, index) => `$${index + 1}::${type}`).join(', ')})`,
}

/** One call for all of these movements, in this order. */
export function movementCall(movements: readonly Movement[], now: Date): MovementCall {
  const accounts = [...new Set(movements.flatMap(({ operations }) => operations.flatMap(accountsNamedBy)))].sort()
  const rows: Rows = {
    movement: openTable('movement'),
    account: openTable('account'),
    operation: openTable('operation'),
    leg: openTable('leg'),
    record: openTable('record'),
    places: new Map(accounts.map((accountId, index) => [accountId, index + 1])),
    actor: movements.every(({ actor }) => actor === movements[0]?.actor) ? movements[0]?.actor : undefined,
    exchanges: [],
    operations: 0,
  }
  for (const accountId of accounts) add(rows.account, [accountId])
  const made = movements.map((movement, index) => addMovement(rows, movement, index + 1, now))
  const literals = (table: Table) => rows[table].map((column) => column.text())
  const [keys = null, hashes = null, madeIds = null] = literals('movement')
  const eachMakesOne = rows.operations === movements.length && made.every(({ length }) => length === 1)
  return {
    made,
    values: [
      ...[now.toISOString(), new Date(now.getTime() - movementKeyRememberedMs).toISOString(), rows.actor ?? null],
      ...[keys, hashes, eachMakesOne ? null : madeIds],
      ...literals('account'),
      ...literals('operation'),
      ...literals('leg'),
      rows.exchanges.length === 0 ? null : JSON.stringify(rows.exchanges),
      ...literals('record'),
    ],
  }
}

const transferTypes = [
  ...['timestamptz', 'uuid', 'bytea', 'text', 'text', 'text', 'text', 'numeric', 'text', 'text', 'text', 'date'],
  ...['text', 'text', 'text', 'text', 'text', 'text', 'text', 'text'],
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
  return {
    made: [[entryId]],
    values: [
      ...[now.toISOString(), key.id, `\\x${key.requestHash}`, entryId, kind, from, to, amount.minor.toString(), amount.currency],
      ...[description, reference, valueDate, ...partyCells(debtor), ...partyCells(creditor)],
      ...[actor, interactionId],
    ],
  }
}

type Rows = Record<Table, readonly ArrayLiteral[]> & {
  readonly places: ReadonlyMap<AccountId, number>
  /** Of all movements, if it is the same. */
  readonly actor: string | undefined
  readonly exchanges: object[]
  operations: number
}
const openTable = (table: Table) => columns[table].map((type) => openArrayLiteral(type === 'text'))

function add(table: readonly ArrayLiteral[], cells: readonly Cell[]): void {
  for (let column = 0; column < cells.length; column++) table[column]?.add(cells[column] as Cell)
}

/** Of each operation that makes an entry, the entry says who asked for it; of any other, the audit log. */
function addMovement(rows: Rows, movement: Movement, number: number, now: Date): readonly (EntryId | HoldId)[] {
  const { key, operations, actor, interactionId = null } = movement
  const made = operations.flatMap(
    (operation) => addOperation({ rows, movement, number, operation: ++rows.operations }, operation, now) ?? [],
  )
  add(rows.movement, [key.id, `"\\\\x${key.requestHash}"`, made.join(' ')])
  const recorded = operations.find((operation) => operation.kind === 'hold' || operation.kind === 'release')
  if (recorded !== undefined) {
    const subject = recorded.kind === 'release' ? recorded.holdId : (made[operations.indexOf(recorded)] ?? key.id)
    const facts = JSON.stringify({ made, operations: operations.map(operationFacts) })
    add(rows.record, [number, newAuditRecordId(now), actor, recordedActions[recorded.kind], subject, interactionId, facts])
  }
  return made
}

type Place = { readonly rows: Rows; readonly movement: Movement; readonly number: number; readonly operation: number }

/** @returns the id of the entry or hold that it makes. */
function addOperation(at: Place, operation: Operation, now: Date): EntryId | HoldId | undefined {
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
      addRow(at, { kind: 'release', id: null, target: operation.holdId })
      return undefined
  }
}

type OperationRow = {
  readonly kind: string
  readonly id: EntryId | HoldId | null
  readonly target?: string
  readonly accountId?: AccountId
  readonly amountMinor?: bigint | undefined
  readonly currency?: string | null
  readonly party?: Party | undefined
  readonly description?: string
  readonly reference?: string
  readonly valueDate?: string | undefined
  readonly expiresAt?: Date
}

function addRow({ rows, number, movement: { actor, interactionId = null as never } }: Place, row: OperationRow): void {
  const { kind, id, target = null, accountId = null, amountMinor = null, currency = null, party, valueDate = null, expiresAt } = row
  const { description = null, reference = null } = row
  add(rows.operation, [
    ...[number, kind, id, target, accountId, amountMinor, currency, ...partyCells(party), description, reference, null, valueDate],
    ...[expiresAt === undefined ? null : `"${expiresAt.toISOString()}"`, rows.actor === undefined ? actor : null, interactionId],
  ])
}

/** `currency` is left out where it is that of the operation. */
function addLeg({ rows, operation }: Place, leg: Leg, currency: string | null, heldMinor: bigint | null = null): void {
  const { accountId, amount, other, counterparty } = leg
  const [account, otherAccount] = [rows.places.get(accountId) ?? null, rows.places.get(other) ?? null]
  add(rows.leg, [operation, account, otherAccount, currency, amount.minor, heldMinor, ...partyCells(counterparty)])
}

function addTransfer(at: Place, { from, to, amount, debtor, creditor, ...booking }: Transfer, entryId: EntryId): EntryId {
  addRow(at, { ...booking, id: entryId, currency: amount.currency })
  addLeg(at, { accountId: from, amount: { ...amount, minor: -amount.minor }, other: to, counterparty: creditor }, null)
  addLeg(at, { accountId: to, amount, other: from, counterparty: debtor }, null)
  return entryId
}

type Booked = { readonly kind: string; readonly description: string; readonly reference: string; readonly valueDate?: string | undefined }

function addEntry(at: Place, booked: Booked, entryId: EntryId, legs: readonly Leg[]): EntryId {
  const { kind, description, reference, valueDate } = booked
  const [currency = null, another] = new Set(legs.map(({ amount }) => amount.currency))
  addRow(at, { kind, description, reference, valueDate, id: entryId, currency: another === undefined ? currency : null })
  for (const leg of legs) addLeg(at, leg, another === undefined ? null : leg.amount.currency)
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
    ...{ movement: at.number, entry_id: entryId },
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

function addReversal(at: Place, { entryId: target, amountMinor, legs = [], ...booked }: Reversal, entryId: EntryId): EntryId {
  addRow(at, { ...booked, id: entryId, target, amountMinor })
  for (const leg of legs) addLeg(at, leg, leg.amount.currency)
  return entryId
}

function addHold(at: Place, { kind, accountId, amount, expiresAt }: Hold, holdId: HoldId): HoldId {
  addRow(at, { kind, id: holdId, accountId, amountMinor: amount.minor, currency: amount.currency, expiresAt })
  addLeg(at, { accountId, amount: { minor: 0n, currency: amount.currency }, other: accountId }, null, amount.minor)
  return holdId
}

function addCapture(at: Place, { holdId, to, amountMinor, keepsRest, creditor, ...booked }: Capture, entryId: EntryId): EntryId {
  const kind = keepsRest === true ? 'capture_part' : 'capture'
  addRow(at, { ...booked, kind, id: entryId, target: holdId, accountId: to, amountMinor, party: creditor })
  return entryId
}

function partyCells(party: Party | undefined): (string | null)[] {
  return [party?.name ?? null, party?.schemeName ?? null, party?.identification ?? null]
}
