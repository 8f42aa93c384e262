import { crc32 } from 'node:zlib'
import { canonicalJson } from '../idempotency/canonical-json.ts'
import { leafHashOfText, sha256 } from './merkle-tree.ts'

/** A row as it is hashed: every column as PostgreSQL writes it, times in UTC to the microsecond, in the order of their names. */
export type Columns = Readonly<Record<string, string | null>>

/** What one leaf of the audit tree is about: an entry with all its postings, or a record of the audit log. */
export type LeafRows =
  | { readonly table: 'ledger.entry'; readonly key: string; readonly row: Columns; readonly postings: readonly Columns[] }
  | { readonly table: 'audit.record'; readonly key: string; readonly row: Columns }
export type LeafTable = LeafRows['table']

/**
 * What of a row is shown to whoever is given a proof. The rest is in the leaf as a salted hash: nobody learns it from a proof
 * (the balance of the payee, say, or the customer's id), and it cannot be changed any more than what is shown.
 */
const shownOfPosting = new Set(['account_id', 'amount_minor', 'booked_at', 'currency'])
const shownOfRecord = new Set(['action', 'interaction_id', 'occurred_at', 'record_id', 'subject'])
const nothing: ReadonlySet<string> = new Set()
/** Members of a record's details that name nobody. Shown where they are no lists or objects. */
const shownDetails: ReadonlySet<string> = new Set([
  ...['amountMinor', 'begunBecause', 'channel', 'consentId', 'creditorAccountId', 'currency', 'debtorAccountId', 'endedCheckpoint'],
  ...['entryCount', 'entryId', 'findingCount', 'holdId', 'kind', 'metCheckpoint', 'operation', 'paymentId', 'reason', 'recordCount'],
  ...['requestHash', 'status', 'treeLog', 'treeRoot', 'treeSize'],
])

/** Of every leaf that is made; a change of what is hashed is another version. */
const version = 'bankside/1'

type LeafDetails = Readonly<Record<string, string | number | boolean | null>>
export type OpenPart = { readonly shown: Columns; readonly closed: string }
/** What is hashed: the canonical JSON of this. */
export type LeafContent =
  | {
      readonly version: string
      readonly table: 'ledger.entry'
      readonly row: Columns
      readonly postings: readonly OpenPart[]
      /** For whom it was made, where the entry itself says so. */
      readonly closed?: string
    }
  | (OpenPart & { readonly version: string; readonly table: 'audit.record'; readonly details: LeafDetails })
/** What opens the closed part of a row: whoever has it can show that part, too. */
export type Closed = { readonly salt: string; readonly columns: Columns }

export type Leaf = {
  readonly content: LeafContent
  /** In the order of the content: one for each posting and one for whom the entry was made, or one for the record. */
  readonly closed: readonly Closed[]
}

/** What hides a part of a leaf, by its name in it: whoever proves one leaf need not be given what opens those beside it. */
export type SaltOf = (context: string) => Buffer
const contextAtMost = 256
/** Of UTF-8, for a letter as JavaScript counts them. */
const bytesPerLetter = 3

/** @param salt of the seal that a leaf is in. */
export function saltsFrom(salt: Buffer): SaltOf {
  const salted = Buffer.concat([salt, Buffer.alloc(contextAtMost * bytesPerLetter)])
  return (context) => {
    const hashed =
      context.length > contextAtMost
        ? Buffer.concat([salt, Buffer.from(context)])
        : salted.subarray(0, salt.length + salted.write(context, salt.length))
    return sha256(hashed).subarray(0, saltBytes)
  }
}
/** In the order in which {@link leafOf} names them. */
export const saltContexts = (rows: LeafRows): string[] =>
  rows.table === 'audit.record' ? [rows.key] : [...rows.postings.map((_, index) => `${rows.key}/${index}`), rows.key]

/**
 * Members are put in the order of their names, as canonical JSON has them: then it is `JSON.stringify` of the leaf, which costs a
 * third. A test compares the two.
 */
export function leafOf(rows: LeafRows, saltOf: SaltOf): Leaf {
  if (rows.table === 'audit.record') {
    const closed = close(rows.row, shownOfRecord, saltOf(rows.key))
    const shown = pick(rows.row, shownOfRecord)
    return {
      content: { closed: hashOfMade(closed), details: detailsToShow(rows.row), shown, table: rows.table, version },
      closed: [closed],
    }
  }
  const closed = rows.postings.map((posting, index) => close(posting, shownOfPosting, saltOf(`${rows.key}/${index}`)))
  const postings = rows.postings.map((posting, index) => {
    return { closed: hashOfMade(closed[index] as Closed), shown: pick(posting, shownOfPosting) }
  })
  const { actor = null, ...row } = rows.row
  if (actor === null) return { content: { postings, row, table: rows.table, version }, closed }
  const closedActor = close({ actor }, nothing, saltOf(rows.key))
  return { content: { closed: hashOfMade(closedActor), postings, row, table: rows.table, version }, closed: [...closed, closedActor] }
}

/** Of a leaf that {@link leafOf} made. */
export const hashOfLeaf = ({ content }: Leaf): Buffer => leafHashOfText(JSON.stringify(content))

/** Of a leaf that somebody brings. */
export const hashOfGivenLeaf = (content: unknown): Buffer => leafHashOfText(canonicalJson(content))

const hashOfMade = ({ columns, salt }: Closed): string => sha256(JSON.stringify({ ...columns, salt })).toString('base64url')

/** What stands in a leaf for what is not shown. */
export const hashOfClosed = ({ columns, salt }: Closed): string => sha256(canonicalJson({ ...columns, salt })).toString('base64url')

export const saltBytes = 16

function close(row: Columns, shown: ReadonlySet<string>, salt: Buffer): Closed {
  const columns: Record<string, string | null> = {}
  for (const name of Object.keys(row)) if (!shown.has(name)) columns[name] = row[name] as string | null
  return { salt: salt.toString('base64url'), columns }
}

function pick(row: Columns, names: ReadonlySet<string>): Columns {
  const picked: Record<string, string | null> = {}
  for (const name of names) picked[name] = row[name] ?? null
  return picked
}

function detailsToShow({ details }: Columns): LeafDetails {
  const members = JSON.parse(details ?? '{}') as LeafDetails
  const shown: Record<string, LeafDetails[string]> = {}
  for (const name of Object.keys(members).sort()) {
    const value = members[name] ?? null
    if (shownDetails.has(name) && (value === null || typeof value !== 'object')) shown[name] = value
  }
  return shown
}

/**
 * A check of each column that is too short to prove anything: by it the column is named that somebody changed. Two hexadecimal
 * digits for each, in the order of their names.
 */
export function columnChecks(row: Columns): string {
  let checks = ''
  for (const name of Object.keys(row)) checks += checkOf(row[name] ?? null)
  return checks
}

/** @returns the columns whose value is another than the checks were made of; undefined where there were other columns. */
export function columnsThatDiffer(row: Columns, checks: string): string[] | undefined {
  const names = Object.keys(row)
  if (checks.length !== 2 * names.length) return undefined
  return names.filter((name, index) => checkOf(row[name] ?? null) !== checks.slice(2 * index, 2 * index + 2))
}

const hexadecimal = Array.from({ length: 0x100 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const checkOf = (value: string | null): string => (value === null ? '00' : (hexadecimal[crc32(value) & 0xff] as string))
