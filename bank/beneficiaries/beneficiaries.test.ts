import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
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
test('NAT-08 each customer sees their own list', async () => {
  const ann = await customerAccess((await world.person()).customerId)
  const eve = await customerAccess((await world.person()).customerId)
  const added = await add({ access: ann, ...gasWorks })
  await add({ access: eve, ...gasWorks })
  assert.deepEqual(await world.asResourceApi((tx) => listBeneficiaries(tx, ann)), [added])
})
