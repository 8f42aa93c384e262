import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Database, openDatabase, sql, transact, z } from '@bankside/service-kit/postgres'
import { createTestDatabase, type TestDatabase } from '@bankside/service-kit/test-database'
import { isIban } from '../consents/account-identification.ts'
import { answerSecondFactor } from '../customers/answer-second-factor.ts'
import { startSecondFactor } from '../customers/start-second-factor.ts'
import { totpCode } from '../customers/totp.ts'
import { verifyPassword } from '../customers/verify-password.ts'
import { reconcile } from '../ledger/reconcile.ts'
import { accountNumbers } from './account-numbers.ts'
import { type DemoCustomer, fillDemoData } from './demo-data.ts'
import { addGeneratedCustomers } from './generated-customers.ts'

const now = new Date('2026-11-21T09:30:00.000Z')
const dataKey = randomBytes(32)
let urls: TestDatabase
let database: Database
let customers: readonly DemoCustomer[]

before(async () => {
  urls = await createTestDatabase()
  database = await openDatabase(urls.ownerUrl, { maxConnections: 4 })
  customers = await transact(database, (tx) => fillDemoData(tx, { dataKey, now }))
})
after(async () => {
  await database.end()
  await urls.drop()
})

test('five people with accounts in pounds and euros, under numbers that hold', () => {
  assert.equal(customers.length, 5)
  for (const { accounts } of customers) {
    assert.ok(accounts.length >= 2)
    assert.ok(
      accounts.every(({ iban, sortCode, accountNumber }) => isIban(iban) && /^\d{6}$/.test(sortCode) && /^\d{8}$/.test(accountNumber)),
    )
  }
  assert.ok(customers.some(({ accounts }) => accounts.length === 3 && accounts.some(({ currency }) => currency === 'EUR')))
})

test('a second time finds the same and changes nothing', async () => {
  const later = new Date(now.getTime() + 24 * 60 * 60 * 1000)
  const count = () => database.oneFirst(sql.type(z.object({ n: z.bigint() }))`select count(*) as n from ledger.posting`)
  const before = await count()
  assert.deepEqual(await transact(database, (tx) => fillDemoData(tx, { dataKey, now: later })), customers)
  assert.equal(await count(), before)
})

test('ninety days of history in real entries, none in the future, and the books add up', async () => {
  const stories = await database.any(sql.type(z.object({ postings: z.bigint(), last: z.date(), first: z.date() }))`
    select count(*) as postings, max(p.booked_at) as last, min(p.booked_at) as first
    from ledger.posting p join ledger.account a on a.account_id = p.account_id where a.type_code = 'CACC' and a.currency = 'GBP' group by p.account_id`)
  assert.equal(stories.length, 5)
  for (const { postings, last, first } of stories) {
    assert.ok(postings > 60n, `${postings}`)
    assert.ok(last <= now && first < new Date(now.getTime() - 85 * 24 * 60 * 60 * 1000))
  }
  assert.deepEqual(await reconcile(database), [])
})

test('SCA-01 a demo customer signs in with the password and the code given', async () => {
  for (const { username, password, totpSecret, customerId } of customers) {
    assert.deepEqual(await verifyPassword(database, { username, password, now }), { outcome: 'accepted', customerId })
    const challengeId = await transact(database, (tx) => startSecondFactor(tx, { customerId, now }))
    const code = totpCode(totpSecret, now)
    assert.equal(await transact(database, (tx) => answerSecondFactor(tx, { challengeId, customerId, code, dataKey, now })), 'accepted')
  }
})

test('generated customers come in numbers, and more can be added', async () => {
  const first = await transact(database, (tx) => addGeneratedCustomers(tx, 200, { dataKey, now }))
  const more = await transact(database, (tx) => addGeneratedCustomers(tx, 50, { dataKey, now }))
  assert.equal(new Set([...first, ...more].map(({ username }) => username)).size, 250)
  const [someone] = more
  assert.ok(someone)
  const signIn = { username: someone.username, password: someone.password, now }
  assert.equal((await verifyPassword(database, signIn)).outcome, 'accepted')
  const funded = await database.oneFirst(sql.type(z.object({ n: z.bigint() }))`
    select count(*) as n from ledger.account where nickname in ('Everyday', 'Savings') and posted_minor = 1000000`)
  assert.equal(funded, 500n)
  assert.deepEqual(await reconcile(database), [])
})

test('PIS-04 an IBAN with one digit changed is none', () => {
  const { iban } = accountNumbers(10_000_001)
  assert.ok(isIban(iban))
  assert.equal(isIban(iban.replace(/.$/, (digit) => String((Number(digit) + 1) % 10))), false)
  assert.equal(isIban('GB00'), false)
})
