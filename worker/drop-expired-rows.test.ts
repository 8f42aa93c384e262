import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type CustomerId, newBackchannelRequestId, newChallengeId } from '@bankside/bank/ids'
import { later, openTestBank, type TestBank } from '@bankside/bank/payments/testing/test-bank'
import { sql } from '@bankside/service-kit/postgres'
import { dropExpiredRows } from './drop-expired-rows.ts'

const hour = 3_600_000
let bank: TestBank
let customer: CustomerId
before(async () => {
  bank = await openTestBank()
  customer = await bank.newCustomer()
})
after(() => bank.close())

const bytes = (text: string) => sql.binary(Buffer.from(text))
const at = (ms: number) => sql.timestamp(later(ms))
/** One row of each table that runs out at a time. */
const rows: Record<string, (name: string, ms: number) => ReturnType<typeof sql.unsafe>> = {
  'oidc.session': (name, ms) => sql.unsafe`insert into oidc.session values (${bytes(name)}, ${name}, '{}', ${at(ms)})`,
  'oidc.interaction': (name, ms) => sql.unsafe`insert into oidc.interaction values (${bytes(name)}, '{}', ${at(ms)})`,
  'oidc.pushed_authorization_request': (name, ms) =>
    sql.unsafe`insert into oidc.pushed_authorization_request values (${bytes(name)}, '{}', null, ${at(ms)})`,
  'oidc.authorization_code': (name, ms) =>
    sql.unsafe`insert into oidc.authorization_code values (${bytes(name)}, 'g', '{}', null, ${at(ms)})`,
  'oidc.refresh_token': (name, ms) => sql.unsafe`insert into oidc.refresh_token values (${bytes(name)}, 'g', '{}', null, ${at(ms)})`,
  'oidc.grant': (name, ms) => sql.unsafe`insert into oidc.grant values (${name}, 'c', ${customer}, '{}', ${at(0)}, null, ${at(ms)})`,
  'oidc.used_identifier': (name, ms) => sql.unsafe`insert into oidc.used_identifier values (${bytes(name)}, ${at(ms)})`,
  'clients.remote_document': (name, ms) => sql.unsafe`insert into clients.remote_document values (${name}, ''::bytea, ${at(5 * ms)})`,
  'clients.certificate': (name, ms) => sql.unsafe`
    insert into clients.certificate values ('third-party', ${name}, '1', 'An authority', ${at(50 * ms)}, ${at(0)})`,
  'oidc.revoked_token': (name, ms) => sql.unsafe`insert into oidc.revoked_token values (${bytes(name)}, ${at(ms)})`,
  'oidc.journey': (name, ms) => sql.unsafe`insert into oidc.journey values (${bytes(name)}, 1, '{}', ${at(ms)}, '')`,
  'oidc.backchannel_authentication_request': (name, ms) => sql.unsafe`
    insert into oidc.backchannel_authentication_request (id_hash, request_id, client_id, customer_id, payload, created_at, expires_at, interval_seconds)
    values (${bytes(name)}, ${newBackchannelRequestId()}, 'c', ${customer}, '{}', ${at(0)}, ${at(ms)}, 5)`,
  'oidc.prompted_customer': (name, ms) => sql.unsafe`insert into oidc.prompted_customer values (${name}, ${at(ms)})`,
  'oidc.backchannel_notification': (name, ms) =>
    sql.unsafe`insert into oidc.backchannel_notification values (${name}, 'c', 'https://c.test', ''::bytea, ${at(ms)}, 0)`,
  'oidc.backchannel_logout': (name, ms) => sql.unsafe`
    insert into oidc.backchannel_logout (logout_id, client_id, customer_id, created_at, attempts, delivered_at)
    values (${`lgo_${Buffer.from(name).toString('hex').padEnd(32, '0')}`}, 'c', ${customer}, ${at(ms)}, 1, ${at(ms)})`,
  'customers.session': (name, ms) =>
    sql.unsafe`insert into customers.session values (${bytes(name)}, ${customer}, ${at(0)}, ${at(0)}, ${at(ms)})`,
  'customers.sca_challenge': (_name, ms) =>
    sql.unsafe`insert into customers.sca_challenge values (${newChallengeId()}, ${customer}, null, ''::bytea, ${at(0)}, ${at(ms)}, null, null)`,
  'customers.sign_in_attempt': (name, ms) => sql.unsafe`insert into customers.sign_in_attempt values (${bytes(name)}, 1, null, ${at(ms)})`,
  'customers.totp_step_used': (name, ms) =>
    sql.unsafe`insert into customers.totp_step_used values (${customer}, ${name.length}, ${at(ms)})`,
}

test('what has run out is dropped, in bounded batches, and nothing else', async () => {
  for (const row of Object.values(rows))
    for (const [name, ms] of [
      ['a', -50 * hour],
      ['bb', -49 * hour],
      ['ccc', 0],
    ] as const)
      await bank.owner.query(row(name, ms))
  const tables = Object.keys(rows).length
  const drop = (limit: number) => dropExpiredRows(bank.worker, { now: later(0), limit })
  assert.equal(await drop(1), tables)
  assert.equal(await drop(1_000), tables)
  assert.equal(await drop(1_000), 0)
  for (const table of Object.keys(rows))
    assert.equal(await bank.owner.oneFirst(sql.unsafe`select count(*) from ${sql.identifier(table.split('.'))}`), 1n, table)
})

test('a table whose rows cannot be dropped is told of, and does not stand in the way of the others', async () => {
  for (const row of Object.values(rows)) await bank.owner.query(row('dddd', -50 * hour))
  const refuse = (state: string) =>
    bank.owner.query(sql.unsafe`
      create or replace function public.refuse() returns trigger language plpgsql as $$
        begin raise exception 'not now' using errcode = ${sql.literalValue(state)}; end $$`)
  await refuse('23001')
  await bank.owner.query(sql.unsafe`create trigger refuse before delete on oidc.session for each row execute function public.refuse()`)
  const reported: string[] = []
  const onFault = (_error: unknown, table: string) => void reported.push(table)
  const drop = () => dropExpiredRows(bank.worker, { now: later(0), limit: 100, onFault })
  assert.deepEqual([await drop(), reported], [Object.keys(rows).length - 1, ['oidc.session']])
  // That it takes longer than a statement may is said of one table, too.
  await refuse('57014')
  for (const row of Object.values(rows)) await bank.owner.query(row('eeeee', -50 * hour))
  assert.deepEqual([await drop(), reported], [Object.keys(rows).length - 1, ['oidc.session', 'oidc.session']])
  await bank.owner.query(sql.unsafe`drop trigger refuse on oidc.session`)
})

test('every table with an expiry is among them', async () => {
  const expiring = await bank.owner.anyFirst(sql.unsafe`
    select table_schema || '.' || table_name from information_schema.columns
    where column_name = 'expires_at' and table_schema in ('oidc', 'customers')`)
  assert.deepEqual(
    expiring.filter((table) => !(String(table) in rows)),
    [],
  )
})
