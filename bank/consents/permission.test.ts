import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusters, type Permission, validatePermissions } from './permission.ts'
import { permissionTexts } from './permission-texts.ts'

const all = clusters.flatMap(({ lines }) => Object.keys(lines)) as Permission[]
const refused = (requested: readonly unknown[]) =>
  assert.throws(() => validatePermissions(requested), { code: 'permissions_invalid', path: 'Data.Permissions' })

test('AIS-02 without ReadAccountsBasic or ReadAccountsDetail is refused', () => refused(['ReadBalances']))
test('AIS-03 an empty list is refused', () => refused([]))
test('AIS-03 an unknown code is refused', () => {
  for (const code of ['ReadEverything', 'readaccountsbasic', '', 7, null, 'constructor']) refused(['ReadAccountsBasic', code])
})
test('AIS-03 more codes than anybody needs are refused', () => refused(Array.from({ length: 43 }, () => 'ReadAccountsBasic')))
test('AIS-03 transactions without a direction are refused', () => {
  refused(['ReadAccountsBasic', 'ReadTransactionsBasic'])
  refused(['ReadAccountsBasic', 'ReadTransactionsDetail'])
})
test('AIS-03 a direction without transactions is refused', () => {
  refused(['ReadAccountsBasic', 'ReadTransactionsCredits'])
  refused(['ReadAccountsBasic', 'ReadTransactionsDebits'])
})

test('AIS-01 all 21 codes of v4.0 are accepted, in the order sent', () => {
  assert.equal(all.length, 21)
  assert.deepEqual(validatePermissions(all.toReversed()), all.toReversed())
})
test('AIS-03 Basic beside Detail, and repetitions, are accepted as sent', () => {
  const sent = ['ReadAccountsBasic', 'ReadAccountsDetail', 'ReadAccountsBasic']
  assert.deepEqual(validatePermissions(sent), sent)
})

test('CX-AIS-02 only the clusters that were asked for are shown', () => {
  assert.deepEqual(permissionTexts(['ReadAccountsBasic', 'ReadBalances']), [
    { title: 'Your account details', lines: ['The name you gave the account and its currency', 'Your account balance'] },
  ])
})
test('CX-AIS-02 one direction only is said, both are not', () => {
  const lines = (...codes: Permission[]) => permissionTexts(codes).flatMap((cluster) => cluster.lines)
  assert.deepEqual(lines('ReadTransactionsBasic', 'ReadTransactionsCredits'), ['Your incoming transactions'])
  assert.deepEqual(lines('ReadTransactionsDetail', 'ReadTransactionsDebits'), ['Details of your outgoing transactions'])
  assert.deepEqual(lines('ReadTransactionsDetail', 'ReadTransactionsDebits', 'ReadTransactionsCredits'), ['Details of your transactions'])
})
test('CX-AIS-02 every code has words of its own, and none of them is a code', () => {
  const direction = new Set<Permission>(['ReadTransactionsCredits', 'ReadTransactionsDebits'])
  for (const code of all) {
    const asked: Permission[] = direction.has(code)
      ? [code, 'ReadTransactionsBasic']
      : code.startsWith('ReadTransactions')
        ? [code]
        : [code]
    const lines = permissionTexts(asked).flatMap((cluster) => cluster.lines)
    assert.equal(lines.length, 1, code)
    assert.doesNotMatch(lines.join(), /Read[A-Z]|scope|permission/)
  }
})
