import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { newAccountId } from '@bankside/bank/ids'
import { assertOfficial, definitionsMissing } from '../testing/official-definitions.ts'
import type { Answer, TestClient } from '../testing/test-client.ts'
import { startTestWorld, type TestWorld } from '../testing/test-world.ts'

const aisp = '/open-banking/v4.0/aisp'
const detail = ['ReadAccountsDetail', 'ReadBalances', 'ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits']
let world: TestWorld

before(async () => {
  world = await startTestWorld()
})
after(() => world.close())

type Wanted = { client?: TestClient; permissions?: readonly string[]; from?: string; to?: string; accounts?: readonly string[] }

/** A token of Ada's for a consent that she gave. */
async function consented({ client = world.acorn, permissions = detail, from, to, accounts }: Wanted = {}) {
  const token = await world.clientToken(client, 'accounts')
  const body = { Data: { Permissions: permissions, TransactionFromDateTime: from, TransactionToDateTime: to }, Risk: {} }
  const lodged = await client.send('POST', `${aisp}/account-access-consents`, { token, body })
  assert.equal(lodged.status, 201, lodged.text)
  const consentId: string = lodged.body.Data.ConsentId
  const chosen = accounts ?? [world.ada.accounts[0]?.id, world.ada.accounts[1]?.id]
  return { client, consentId, token: await world.authorise(client, consentId, world.ada, chosen as `acc_${string}`[]) }
}

const ada = (index: number) => world.ada.accounts[index]?.id as string
const codes = ({ status, body }: Answer) => [status, ...(body?.Errors ?? []).map((error: { ErrorCode: string }) => error.ErrorCode)]

test('D4 an account that was not chosen, of another customer, unknown or malformed is 403, one answer for all', async () => {
  const { client, token } = await consented()
  const answers = []
  for (const id of [ada(2), world.ben.accounts[0]?.id, newAccountId(), 'acc_1', '%20', "'"]) {
    for (const suffix of ['', '/balances', '/transactions']) {
      const answer = await client.send('GET', `${aisp}/accounts/${id}${suffix}`, { token })
      answers.push([...codes(answer), answer.body?.Errors?.[0]?.Path])
    }
  }
  assert.deepEqual(new Set(answers.map(String)), new Set(['403,U011,AccountId']))
})

test('D5 a token of the client itself opens no account: 401 without a body', async () => {
  for (const path of ['/accounts', `/accounts/${ada(0)}`, `/accounts/${ada(0)}/balances`]) {
    const answer = await world.acorn.send('GET', aisp + path, { token: await world.clientToken(world.acorn, 'accounts') })
    assert.equal(answer.status, 401)
    assert.equal(answer.text, '')
    assert.match(String(answer.headers['www-authenticate']), /^DPoP error="invalid_token"/)
  }
})

for (const [path, without] of [
  ['/accounts/:id/balances', 'ReadBalances'],
  ['/accounts/:id/transactions', 'ReadTransactionsDetail'],
] as const)
  test(`AIS-06 ${path} without ${without} is 403`, async () => {
    const permissions = detail.filter((code) => code !== without && !(without.startsWith('ReadTrans') && code.startsWith('ReadTrans')))
    const { client, token } = await consented({ permissions })
    const answer = await client.send('GET', aisp + path.replace(':id', ada(0)), { token })
    assert.deepEqual(codes(answer), [403, 'U002'])
    assert.match(String(answer.headers['www-authenticate']), /error="insufficient_scope"/)
  })

test('FAPI2-RS-04 a token with another scope is 403 insufficient_scope', async () => {
  const { client, consentId } = await consented()
  const token = await world.authorise(client, consentId, world.ada, [ada(0) as `acc_${string}`], 'openid payments')
  const answer = await client.send('GET', `${aisp}/accounts`, { token })
  assert.equal(answer.status, 403)
  assert.match(String(answer.headers['www-authenticate']), /error="insufficient_scope", scope="accounts"/)
})

for (const binding of ['acorn', 'cobalt'] as const)
  test(`AIS-12 AIS-13 AIS-14 RW-D-08 the chosen accounts, their balances and transactions (${binding})`, async () => {
    const { client, token } = await consented({ client: world[binding] })
    const list = await client.send('GET', `${aisp}/accounts`, { token })
    assert.equal(list.status, 200, list.text)
    assert.deepEqual(new Set(list.body.Data.Account.map((account: { AccountId: string }) => account.AccountId)), new Set([ada(0), ada(1)]))
    assert.equal(list.body.Links.Self, `https://rs.bankside.test${aisp}/accounts`)

    const { sortCode, accountNumber, iban } = world.ada.accounts[0] ?? {}
    const account = (await client.send('GET', `${aisp}/accounts/${ada(0)}`, { token })).body.Data.Account[0]
    assert.deepEqual(account.Account, [
      { SchemeName: 'UK.OBIE.SortCodeAccountNumber', Identification: `${sortCode}${accountNumber}`, Name: 'Ada Byron' },
      { SchemeName: 'UK.OBIE.IBAN', Identification: iban, Name: 'Ada Byron' },
    ])
    assert.equal(account.AccountTypeCode, 'CACC')

    const { Balance } = (await client.send('GET', `${aisp}/accounts/${ada(0)}/balances`, { token })).body.Data
    assert.deepEqual(
      Balance.map(({ Type, CreditDebitIndicator, Amount }: Record<string, unknown>) => [Type, CreditDebitIndicator, Amount]),
      [
        ['ITAV', 'Credit', { Amount: '1000.00', Currency: 'GBP' }],
        ['ITBD', 'Credit', { Amount: '1000.00', Currency: 'GBP' }],
      ],
    )
    const { Transaction } = (await client.send('GET', `${aisp}/accounts/${ada(0)}/transactions`, { token })).body.Data
    assert.equal(Transaction.length, 1)
    assert.equal(Transaction[0].Amount.Amount, '1000.00')
  })
