import type { Client } from 'pg'

export type Wish = {
  /** A consent that was lodged through the API. */
  readonly template: string
  /** The account that is read or pays; its customer gives the consent. */
  readonly account?: string
  /** Instead of the template's client. */
  readonly clientId?: string
}

export type Cloning = {
  readonly consentId: string
  readonly grantId: string
  readonly clientId: string
  readonly account: string
  readonly request: { readonly Data: { readonly Initiation: unknown }; readonly Risk: unknown }
}

/**
 * Copies lodged consents, and has the copies authorised as a customer's confirmation would: consent, chosen account and
 * grant. A customer may answer one second factor in thirty seconds; a round needs thousands of payments.
 */
export async function cloneConsents(db: Client, state: 'awaiting' | 'authorised', wishes: readonly Wish[]): Promise<readonly Cloning[]> {
  const decided = `jsonb_build_object('status', 'AUTH', 'customer_id', account.customer_id, 'authorised_at', now(), 'grant_id', wish.grant_id,
    'debtor_account_id', case lodged.kind when 'account_access' then null else account.account_id end)`
  const { rows } = await db.query(
    `with wish as (
       select format('con_%s%s', lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0'), right(replace(gen_random_uuid()::text, '-', ''), 20)) as consent_id, gen_random_uuid()::text as grant_id, *
       from jsonb_to_recordset($1) as wish (template text, account text, "clientId" text)),
     clone as (
       insert into consents.consent
       select copy.* from wish join consents.consent lodged on lodged.consent_id = wish.template
         left join ledger.account account on account.account_id = wish.account,
         lateral jsonb_populate_record(lodged, jsonb_build_object('consent_id', wish.consent_id, 'client_id', coalesce(wish."clientId", lodged.client_id))
           || ${state === 'authorised' ? decided : `'{}'`}) copy
       returning consent_id, client_id, customer_id, kind, request),
     chosen as (
       insert into consents.consent_account select consent_id, account from wish join clone using (consent_id) where account is not null and kind = 'account_access'),
     allowed as (
       insert into oidc.grant (grant_id, client_id, customer_id, payload, created_at, expires_at)
       select grant_id, client_id, customer_id, '{}', now(), now() + interval '1 hour' from wish join clone using (consent_id)
       where customer_id is not null)
     select consent_id as "consentId", grant_id as "grantId", client_id as "clientId", account, request from wish join clone using (consent_id)`,
    [JSON.stringify(wishes)],
  )
  if (rows.length !== wishes.length) throw new Error(`${rows.length} of ${wishes.length} consents were made`)
  return rows
}
