import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, violatedConstraint } from '@bankside/service-kit/postgres'
import { type AccountId, newConsentId } from '../ids.ts'
import { openTestBank, type TestBank } from '../payments/testing/test-bank.ts'

let bank: TestBank
let payee: AccountId
let thief: AccountId
let number: string

before(async () => {
  bank = await openTestBank()
  payee = await bank.newAccount()
  thief = await bank.newAccount()
  number = String(await bank.owner.oneFirst(sql.unsafe`select sort_code || account_number from ledger.account where account_id = ${payee}`))
})
after(() => bank.close())

/** As the resource API's role alone could, without the code that goes with it. */
const lodge = (creditorAccountId: AccountId | undefined, schemeName: string | null, identification: string | null) =>
  bank.resourceApi
    .query(sql.unsafe`
      insert into consents.consent (
        consent_id, client_id, kind, status, status_updated_at, created_at, authorise_before, request, permissions, amount_minor, currency,
        creditor_name, creditor_scheme_name, creditor_identification, creditor_account_id)
      values (
        ${newConsentId()}, 'third-party', 'domestic_payment', 'AWAU', now(), now(), now(), '{}', '{}', 1, 'GBP', 'ACME',
        ${schemeName}, ${identification}, ${creditorAccountId ?? null})`)
    .then(() => 'nothing: it was done', violatedConstraint)

const sortCode = 'UK.OBIE.SortCodeAccountNumber'

test('a taken-over resource API lodges no consent that pays another account than the one it shows', async () => {
  for (const [schemeName, identification] of [
    [sortCode, number],
    [sortCode, '20000012345678'],
    [sortCode, null],
    [null, number],
    ['UK.OBIE.IBAN', number],
    ['UK.OBIE.PAN', number],
    ['BANKSIDE.AccountId', thief],
  ] as const)
    assert.equal(await lodge(thief, schemeName, identification), 'consent_pays_whom_it_shows', `${schemeName} ${identification}`)
  assert.equal(await lodge(bank.own.settlement.GBP, sortCode, number), 'consent_pays_whom_it_shows')
})

test('a consent for the account that it shows is lodged, and one that names no account', async () => {
  assert.equal(await lodge(payee, sortCode, number), 'nothing: it was done')
  assert.equal(await lodge(undefined, sortCode, number), 'nothing: it was done')
})

test('an IBAN is compared however it is spaced', async () => {
  await bank.owner.query(sql.unsafe`update ledger.account set iban = 'GB33BUKB20201555555555' where account_id = ${payee}`)
  assert.equal(await lodge(thief, 'UK.OBIE.IBAN', 'GB33BUKB20201555555555'), 'consent_pays_whom_it_shows')
  assert.equal(await lodge(payee, 'UK.OBIE.IBAN', 'gb33 BUKB 2020 1555 5555 55'), 'nothing: it was done')
})
