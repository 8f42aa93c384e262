import type { Transaction } from '@bankside/service-kit/postgres'
import type { ArchivedLeaves } from './archive.ts'
import type { ToldTable } from './compare-told.ts'
import { type Columns, columnsThatDiffer, hashOfLeaf, type LeafTable, leafOf, saltsFrom } from './leaf.ts'
import { leafTables, leavesOf, readLeaves, type WrittenLeaf } from './read-leaves.ts'
import { type IndexedLeaf, postingKey, readRowIndex } from './row-index.ts'
import { lastPlaceOf } from './seal-rows.ts'
import type { Seal } from './stored-tree.ts'

/** Something that is not as it was sealed. */
export type Finding = {
  readonly table:
    | LeafTable
    | ToldTable
    | ('ledger.posting' | 'audit.seal' | 'audit.tree_node' | 'audit.checkpoint' | 'audit.sealing' | 'audit.archive')
    | ('ledger.currency' | 'ledger.transaction_numbers')
  readonly id: string
  readonly what: 'changed' | 'missing' | 'inserted' | 'moved'
  /** Where it can be told. */
  readonly column?: string | undefined
  readonly detail: string
}

/** More rows that nobody sealed are not listed one by one. */
const insertedAtMost = 1_000

type Expected = { readonly indexed: IndexedLeaf; readonly hash: Buffer; readonly seal: Seal; readonly leaf: number }

/**
 * Compares the rows of a group of seals with their leaves, whichever order they come in; those that are archived, as far as they are there.
 * `before` is the seal before them.
 */
export async function compareRows(
  tx: Transaction,
  group: readonly Seal[],
  { before, archived }: { readonly before: Seal | undefined; readonly archived: ArchivedLeaves },
): Promise<Finding[]> {
  const [first, last] = [group[0], group.at(-1)]
  if (first === undefined || last === undefined) return []
  const findings: Finding[] = []
  const expected = new Map<string, Expected>()
  for (const seal of group) findings.push(...expectRows(seal, expected))
  const rows = await readLeaves(tx, {
    fromXact: first.fromXact,
    beforeXact: last.beforeXact,
    after: before === undefined || before.endsRound ? undefined : lastPlaceOf(before),
    upTo: last.endsRound ? undefined : lastPlaceOf(last),
    limit: expected.size + insertedAtMost,
  })
  for (const row of rows) {
    const sealed = expected.get(nameOf(row))
    if (sealed === undefined)
      findings.push({
        table: row.table,
        id: row.key,
        what: 'inserted',
        detail: `no leaf holds it; its transaction ${row.writtenIn} was sealed`,
      })
    else {
      archived.meetThere(sealed.seal, sealed.indexed)
      findings.push(...movedFrom(row, sealed), ...compare(row, sealed))
    }
    expected.delete(nameOf(row))
  }
  return [...findings, ...missing(expected, archived)]
}

/**
 * The same for a log that has ended: what its leaves hold is there and is as it was. What its leaves do not hold says nothing, because
 * numbers of transactions were given again before the next log began; that one holds every row.
 */
export async function compareEnded(tx: Transaction, group: readonly Seal[], archived: ArchivedLeaves): Promise<Finding[]> {
  const findings: Finding[] = []
  const expected = new Map<string, Expected>()
  for (const seal of group) findings.push(...expectRows(seal, expected))
  for (const table of leafTables) {
    const keys = [...expected.values()].flatMap(({ indexed }) => (indexed.table === table ? [indexed.key] : []))
    for (const row of await leavesOf(tx, table, keys)) {
      const sealed = expected.get(nameOf(row)) as Expected
      archived.meetThere(sealed.seal, sealed.indexed)
      findings.push(...compare(row, sealed))
      expected.delete(nameOf(row))
    }
  }
  return [...findings, ...missing(expected, archived)]
}

const missing = (expected: ReadonlyMap<string, Expected>, archived: ArchivedLeaves): Finding[] =>
  [...expected.values()]
    .filter(({ seal, indexed }) => !archived.meet(seal, indexed))
    .map(({ indexed, leaf }) => ({ table: indexed.table, id: indexed.key, what: 'missing', detail: `leaf ${leaf} was made of it` }))

/** One row, wherever it comes from, with the leaf that was made of it. */
export function compareLeaf(
  row: WrittenLeaf,
  { seal, indexed, offset }: { readonly seal: Seal; readonly indexed: IndexedLeaf; readonly offset: number },
): Finding[] {
  const sealed = { indexed, seal, hash: seal.leafHashes[offset] as Buffer, leaf: seal.firstLeaf + offset }
  return [...movedFrom(row, sealed), ...compare(row, sealed)]
}

function expectRows(seal: Seal, expected: Map<string, Expected>): Finding[] {
  const index = readRowIndex(seal.rowIndex)
  const id = `leaf ${seal.firstLeaf}`
  if (index?.length !== seal.leafHashes.length)
    return [{ table: 'audit.seal', id, what: 'changed', column: 'row_index', detail: 'it does not name its rows' }]
  const findings: Finding[] = []
  const { firstPlace } = seal
  if (firstPlace !== undefined && (firstPlace.table !== index[0]?.table || firstPlace.key !== index[0].key))
    findings.push({ table: 'audit.seal', id, what: 'changed', column: 'first_key', detail: `it begins with ${index[0]?.key}` })
  for (const [offset, indexed] of index.entries()) {
    const name = nameOf(indexed)
    if (expected.has(name))
      findings.push({ table: 'audit.seal', id, what: 'changed', column: 'row_index', detail: `it names ${indexed.key} twice` })
    expected.set(name, { indexed, hash: seal.leafHashes[offset] as Buffer, seal, leaf: seal.firstLeaf + offset })
  }
  return findings
}

const nameOf = ({ table, key }: { readonly table: LeafTable; readonly key: string }): string => `${table} ${key}`

const movedFrom = ({ table, key, writtenIn }: WrittenLeaf, { seal, leaf }: Expected): Finding[] =>
  writtenIn >= seal.fromXact && writtenIn < seal.beforeXact
    ? []
    : [{ table, id: key, what: 'moved', column: 'written_in', detail: `leaf ${leaf} is of another round` }]

function compare(row: WrittenLeaf, { indexed, hash, seal, leaf }: Expected): Finding[] {
  if (hashOfLeaf(leafOf(row, saltsFrom(seal.salt))).equals(hash)) return []
  const findings = changesOf(row.table, row.key, row.row, indexed.checks)
  if (row.table === 'ledger.entry') findings.push(...comparePostings(row.postings, indexed))
  if (findings.length === 0)
    findings.push({
      table: row.table,
      id: row.key,
      what: 'changed',
      detail: `it is not what leaf ${leaf} was made of, or the leaf was changed`,
    })
  return findings
}

function changesOf(table: Finding['table'], id: string, row: Columns, checks: string): Finding[] {
  const differing = columnsThatDiffer(row, checks)
  if (differing === undefined) return [{ table, id, what: 'changed', detail: 'its columns are not those that were sealed' }]
  return differing.map((column) => ({ table, id, what: 'changed', column, detail: `now ${shown(row[column] ?? null)}` }))
}

const shownAtMost = 80
const shown = (value: string | null): string => (value === null ? 'null' : JSON.stringify(value.slice(0, shownAtMost)))

function comparePostings(postings: readonly Columns[], { key, postings: sealed }: IndexedLeaf): Finding[] {
  const [found, wanted] = [
    new Map(postings.map((posting) => [postingKey(posting), posting])),
    new Map(sealed.map((posting) => [posting.key, posting])),
  ]
  const table = 'ledger.posting'
  return [
    ...[...wanted].flatMap(([id, { checks }]): Finding[] => {
      const posting = found.get(id)
      return posting === undefined ? [{ table, id, what: 'missing', detail: `of entry ${key}` }] : changesOf(table, id, posting, checks)
    }),
    ...[...found.keys()]
      .filter((id) => !wanted.has(id))
      .map((id): Finding => ({ table, id, what: 'inserted', detail: `into entry ${key}` })),
  ]
}
