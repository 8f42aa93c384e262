import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { advancePayments } from '@bankside/bank/payments/advance-payments'
import { gbp, openTestBank, type TestBank } from '@bankside/bank/payments/testing/test-bank'
import { sql } from '@bankside/service-kit/postgres'
import { accountsCommand } from './commands/accounts.ts'
import { limitsCommand } from './commands/limits.ts'
import { paymentsCommand } from './commands/payments.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

test('a command answers on the output of a process, and complains with status 1', async () => {
  for (const [args, code, answer] of [
    [['list'], 0, /^There is none\.\n$/],
    [['lists'], 1, /^npm run limits -- list/],
  ] as const) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'limits.ts'), ...args], {
      env: { DATABASE_URL: bank.urls.ownerUrl },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [ended, ...outputs] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)])
    assert.equal(ended[0], code)
    assert.match(outputs[code], answer)
  }
})

test('npm run limits sets, lists and ends limits, says what is wrong with an order, and who did it is on record', async () => {
  const limits = (...args: string[]) => limitsCommand(bank.owner, args)
  const set = (of: string, per: string, most: string, ...more: string[]) => limits('set', '--of', of, '--per', per, '--most', most, ...more)
  const account = await bank.newAccount()
  for (const wrong of [
    limits(),
    limits('set'),
    limits('end'),
    limits('--every'),
    set('acc_1', 'day', '1.00 GBP'),
    set('account', 'week', '1.00 GBP'),
    set('account', '745h', '1.00 GBP'),
    set('account', '0h', '1.00 GBP'),
    set('account', 'day', '1.00 GBP', '--own', 'hard'),
    set(account, 'day', '1.00 GBP', '--own', 'gentle'),
    set('account', 'day', '1.00 GBP', '--channel', 'post'),
  ])
    await assert.rejects(wrong, /^Complaint: npm run limits -- list/)
  await assert.rejects(set('account', 'day', '1.001 GBP'), /--most is an amount like "5000.00 GBP": not an amount of GBP\./)
  await assert.rejects(set('account', 'day', '-1 GBP'), Error)

  const each = await set('customer', 'month', '5000.00 GBP', '--channel', 'uk_v4')
  assert.match(each, /^lim_[0-9a-f]{32}: GBP 5000\.00 a month from all accounts together through other companies\.$/)
  assert.equal(await limits('end', each.slice(0, 36)), `${each.slice(0, 36)} is ended.`)
  const own = await set(account, '24h', '1.5 GBP', '--own', 'soft')
  const id = own.slice(0, 36)
  assert.equal(await limits('list', account), `${id}  ${account}  their own, soft  GBP 1.50 in any 24 hours from this account`)
  assert.equal(await limits('end', id), `${id} is ended.`)
  await assert.rejects(limits('end', id), /There is no limit/)
  assert.equal(await limits('list', account), 'There is none.')
  const actions = sql.unsafe`select action from audit.record where actor like 'operator %' and subject = ${id} order by record_id`
  assert.deepEqual(await bank.owner.anyFirst(actions), ['limit.set', 'limit.ended'])
})

test('npm run payments shows what waits for a person and why, and takes a decision only with a reason', async () => {
  const payments = (...args: string[]) => paymentsCommand(bank.owner, args)
  const now = new Date()
  const from = await bank.newAccount({ funds: 9_000_000n })
  const pay = async () => {
    return bank.submit(await bank.newConsent({ debtorAccountId: from, amount: gbp(600_000), now }), { now })
  }
  const [one, other] = [await pay(), await pay()]
  assert.equal(await payments('review'), 'None waits.')
  await advancePayments(bank.worker, { now, limit: 10 })
  const waiting = await payments('review')
  assert.match(waiting, new RegExp(`${one.id}  GBP 6000\\.00 from ${from} to ACME \\(20000012345678\\)\n  until .*\n  score [78]5\n`))
  assert.match(waiting, /^ {2}\+20 {2}a large amount +\(6000\)$/m)
  for (const wrong of [
    payments(),
    payments('approve', one.id),
    payments('refuse', one.id, '--why', ' '),
    payments('straight-through', 'on'),
    payments('straight-through', '--why', 'a reason'),
    payments('straight-through', 'maybe', '--why', 'a reason'),
    payments('check', 'built-in'),
    payments('check', 'elsewhere', '--why', 'a reason'),
    payments('approve', one.id, '--because', 'x'),
  ])
    await assert.rejects(wrong, /^Complaint: npm run payments -- review/)
  await assert.rejects(payments('approve', 'pay_1', '--why', 'x'), /^Complaint: pay_1: not the id of a payment\./)
  assert.match(await payments('approve', one.id, '--why', 'I rang the customer'), / goes on\.$/)
  assert.match(await payments('refuse', other.id, '--why', 'Nobody knows of it'), /its funds are free again\.$/)
  await assert.rejects(payments('refuse', other.id, '--why', 'Again'), /no such payment waits for a person/)
  const shown = await payments('show', other.id)
  assert.match(shown, /^ {2}rejected, U042$/m)
  assert.match(shown, /payment\.rejected +by operator \S+ +\{"why":"Nobody knows of it"/)
  assert.match(shown, /told of payment\.in_review +not yet$/m)
  assert.equal(await payments('review'), 'None waits.')
})

test('npm run payments lets nothing be posted at once while a worker has a check elsewhere, and says what to do', async () => {
  const payments = (...args: string[]) => paymentsCommand(bank.owner, [...args, '--why', 'a test'])
  const state = () => paymentsCommand(bank.owner, ['straight-through'])
  assert.match(await payments('straight-through', 'on'), /^What nothing waits for is posted/)
  assert.equal(await state(), 'What nothing waits for is posted when it comes; the built-in check is asked.')
  await bank.worker.query(sql.unsafe`select payments.leave_to_check_elsewhere()`)
  assert.equal(await state(), 'Every payment waits for the worker, and for a check elsewhere, which a worker with RISK_CHECK_URL asks.')
  await assert.rejects(
    payments('straight-through', 'on'),
    /^Complaint: Payments are checked elsewhere.*\n.*npm run payments -- check built-in/,
  )
  assert.match(await payments('check', 'built-in'), /^The worker asks the built-in check/)
  assert.match(await payments('straight-through', 'on'), /^What nothing waits for is posted/)
  assert.match(await payments('straight-through', 'off'), /^Every payment waits for the worker/)
  assert.equal(await state(), 'Every payment waits for the worker, and for the built-in check.')
})

test('npm run accounts opens and closes accounts, and says why not', async () => {
  const accounts = (...args: string[]) => accountsCommand(bank.owner, args)
  const from = await bank.newAccount({ funds: 500n })
  const customer = String(await bank.owner.oneFirst(sql.unsafe`select customer_id from ledger.account where account_id = ${from}`))
  const open = (...more: string[]) => accounts('open', '--for', customer, '--called', 'Holidays', ...more)
  for (const wrong of [
    accounts(),
    accounts('open'),
    accounts('close', from),
    accounts('close', 'acc_1', '--why', 'x'),
    open('--from', 'acc_1'),
  ])
    await assert.rejects(wrong, /^Complaint: npm run accounts -- open/)
  await assert.rejects(open('--first', '1.001 GBP', '--from', from), /not an amount of GBP/)
  await assert.rejects(open('--first', '1.00 GBP'), /\(field_missing\)/)
  await assert.rejects(open('--first', '5.01 GBP', '--from', from), /\(insufficient_funds\)/)
  await assert.rejects(
    open('--first', '5.00 GBP', '--from', from, '--sort-code', '1', '--number', '12345678'),
    /account_sort_code_is_six_digits/,
  )
  const opened = (await open('--first', '5.00 GBP', '--from', from)).slice(0, 36)
  await assert.rejects(accounts('close', opened, '--why', 'They asked'), /something is left on it/)
  assert.match(
    await accounts('close', opened, '--why', 'They asked', '--rest-to', from),
    /is closed, its rest moved by ent_[0-9a-f]{32}\.$/,
  )
  await assert.rejects(accounts('close', opened, '--why', 'They asked'), /it is closed already/)
})
