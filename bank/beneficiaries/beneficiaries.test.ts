import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, violatedConstraint } from '@bankside/service-kit/postgres'
import { ibanRemainder } from '../consents/account-identification.ts'
import { app, bareToken, noon, openWorld, type World } from '../consents/testing/test-world.ts'
import type { CustomerId } from '../ids.ts'
import { refusalOf } from '../refusal.ts'
import { addBeneficiary, type NewBeneficiary } from './add-beneficiary.ts'
import { listBeneficiaries } from './list-beneficiaries.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const ibanOf = (basic: string) => `GB${String(98 - ibanRemainder(`GB00${basic}`)).padStart(2, '0')}${basic}`
const gasWorks = { name: 'Gas Works', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000055555555', reference: 'A-1' }

async function customerAccess(customerId: CustomerId) {
  const scopes = new Set(['beneficiaries:write', 'beneficiaries:read'])
  const token = { ...bareToken, clientId: app, scopes, grantId: await world.grant(customerId, app) }
  return world.access(token, { api: 'bank', operation: 'beneficiaries.add', now: noon })
}
const add = (asked: Omit<NewBeneficiary, 'now'>) => world.asResourceApi((tx) => addBeneficiary(tx, { ...asked, now: noon }))

test('NAT-S7 names, accounts and references that cannot be are refused', async () => {
  const access = await customerAccess((await world.person()).customerId)
  const refused = (changed: object, code: string, path: string) => assert.rejects(add({ access, ...gasWorks, ...changed }), { code, path })
  await refused({ name: ' ' }, 'field_missing', 'name')
  await refused({ name: 'x'.repeat(141) }, 'field_invalid', 'name')
  await refused({ name: 'Gas\u202eWorks' }, 'field_invalid', 'name')
  await refused({ reference: 'x'.repeat(36) }, 'field_invalid', 'reference')
  await refused({ schemeName: 'UK.OBIE.PAN' }, 'scheme_unsupported', 'scheme_name')
  await refused({ identification: '1234' }, 'field_invalid', 'identification')
})
test('NAT-S7 the same account twice is refused, however it is spelled', async () => {
  const access = await customerAccess((await world.person()).customerId)
  const iban = { ...gasWorks, schemeName: 'UK.OBIE.IBAN' }
  await add({ access, ...iban, identification: 'GB82 WEST 1234 5698 7654 32' })
  await assert.rejects(
    add({ access, ...iban, name: 'Other', identification: 'gb82west12345698765432' }),
    (error) => refusalOf(error)?.code === 'beneficiary_exists',
  )
})
test('NAT-S7 the check of the name is made when it is entered, kept, and put on record without a name', async () => {
  const access = await customerAccess((await world.person()).customerId)
  const account = await world.newAccount()
  const number = await world.owner.oneFirst(
    sql.unsafe`select sort_code || account_number from ledger.account where account_id = ${account}`,
  )
  const payee = { access, schemeName: gasWorks.schemeName, identification: String(number) }
  const added = await add({ ...payee, name: 'Somebody Else' })
  assert.equal(added.nameCheck, 'not_matched')
  await assert.rejects(add({ ...payee, name: 'Ann Example' }), (error) => refusalOf(error)?.code === 'beneficiary_exists')
  await world.owner.query(sql.unsafe`update ledger.account set holder_name = 'Somebody Else' where account_id = ${account}`)
  assert.deepEqual(await world.asResourceApi((tx) => listBeneficiaries(tx, access)), [added])
  const recorded = await world.owner.oneFirst(sql.unsafe`select details from audit.record where subject = ${added.id}`)
  assert.deepEqual(recorded, { clientId: app, nameCheck: 'not_matched' })
})
for (const [schemeName, identification, expected] of [
  ['UK.OBIE.SortCodeAccountNumber', '04040499999999', 'not_matched'],
  ['UK.OBIE.IBAN', ibanOf('BKSD04040499999999'), 'not_matched'],
  ['UK.OBIE.IBAN', 'GB82WEST12345698765432', 'not_checked'],
  ['UK.OBIE.IBAN', 'DE89370400440532013000', 'not_checked'],
] as const)
  test(`NAT-S7 no account ${identification}: ${expected}`, async () => {
    const access = await customerAccess((await world.person()).customerId)
    assert.equal((await add({ access, name: 'Ann Example', schemeName, identification })).nameCheck, expected)
  })
test('NAT-S7 the database takes no other word for a check of a name', async () => {
  const { customerId } = await world.person()
  const { id } = await add({ access: await customerAccess(customerId), ...gasWorks })
  await assert.rejects(
    world.owner.query(sql.unsafe`update customers.beneficiary set name_check = 'yes' where beneficiary_id = ${id}`),
    (error) => violatedConstraint(error) === 'beneficiary_name_check_is_known',
  )
})
test('NAT-08 each customer sees their own list', async () => {
  const ann = await customerAccess((await world.person()).customerId)
  const eve = await customerAccess((await world.person()).customerId)
  const added = await add({ access: ann, ...gasWorks })
  await add({ access: eve, ...gasWorks })
  assert.deepEqual(await world.asResourceApi((tx) => listBeneficiaries(tx, ann)), [added])
})
