import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson } from '../idempotency/canonical-json.ts'
import { columnChecks, columnsThatDiffer, hashOfClosed, hashOfGivenLeaf, hashOfLeaf, type LeafRows, leafOf, saltsFrom } from './leaf.ts'

const salt = Buffer.alloc(32, 7)
const posting = {
  account_id: 'acc_1',
  amount_minor: '-1000',
  balance_minor: '4000',
  booked_at: '2026-03-02T12:00:00.000000Z',
  counterparty_identification: '04040400000001',
  counterparty_name: 'Zoë "Z" Ångström\u2028',
  counterparty_scheme_name: null,
  currency: 'GBP',
  posting_number: '2',
}
const entry = { booked_at: 't', currency: 'GBP', description: 'd', entry_id: 'ent_1', exchange: null, hold_id: 'hld_1', kind: 'transfer' }
const record = {
  action: 'payment.submitted',
  actor: 'cus_secret',
  details: '{"status": "held", "customerId": "cus_secret", "reason": {"z": 1, "a": [2, {"y": 1, "b": null}]}, "10": 1, "9": 2}',
  interaction_id: null,
  occurred_at: 't',
  record_id: 'aud_1',
  subject: 'pay_1',
}
const leaves: LeafRows[] = [
  { table: 'ledger.entry', key: 'ent_1', row: entry, postings: [posting, { ...posting, account_id: 'acc_2', amount_minor: '1000' }] },
  { table: 'ledger.entry', key: 'ent_2', row: { actor: 'cus_secret', ...entry }, postings: [] },
  { table: 'audit.record', key: 'aud_1', row: record },
]

test('a leaf is canonical JSON as it is made, and hashes to the same however its members are ordered', () => {
  for (const rows of leaves) {
    const leaf = leafOf(rows, saltsFrom(salt))
    assert.equal(JSON.stringify(leaf.content), canonicalJson(leaf.content))
    assert.deepEqual(hashOfGivenLeaf(JSON.parse(JSON.stringify(leaf.content))), hashOfLeaf(leaf))
  }
})

test('what is not shown is hidden under a salt of its own, and can be opened', () => {
  const [transfer, , recorded] = leaves.map((rows) => leafOf(rows, saltsFrom(salt)))
  assert.ok(transfer?.content.table === 'ledger.entry' && recorded?.content.table === 'audit.record')
  const text = JSON.stringify([transfer.content, recorded.content])
  for (const hidden of ['cus_secret', '4000', 'Zo', '04040400000001', 'posting_number']) assert.ok(!text.includes(hidden), hidden)
  assert.deepEqual(
    transfer.content.postings.map(({ closed }) => closed),
    transfer.closed.map(hashOfClosed),
  )
  assert.notEqual(transfer.closed[0]?.salt, transfer.closed[1]?.salt)
  assert.equal(recorded.content.closed, hashOfClosed(recorded.closed[0] as never))
  assert.deepEqual(recorded.content.details, { status: 'held' })
})

test('a column that was changed is named by its check, null is not empty, and other columns are told', () => {
  const checks = columnChecks(posting)
  assert.deepEqual(columnsThatDiffer(posting, checks), [])
  assert.deepEqual(columnsThatDiffer({ ...posting, amount_minor: '-1001', counterparty_scheme_name: 'x' }, checks), [
    'amount_minor',
    'counterparty_scheme_name',
  ])
  assert.equal(columnsThatDiffer({ ...posting, another: '1' }, checks), undefined)
})
