/** What every page is told, whoever shows it. Texts that come from outside (names, references) are escaped and kept apart by the page. */
export type Common = {
  readonly bankName: string
  readonly cssHref: string
  readonly iconHref?: string | undefined
  /** Opens in a new tab, at the same place on every page (WCAG 2.2 SC 3.2.6). */
  readonly helpHref?: string | undefined
  readonly signedInAs?: string | undefined
  /** The trading name as the customer knows it (CX-01), or "agent on behalf of client" (CX-02): never the legal name alone. */
  readonly thirdParty?: { readonly name: string } | undefined
  readonly locale: 'en-GB'
  /** After how many idle minutes the session ends; the page says so beforehand (A11Y-03). */
  readonly idleMinutes?: number | undefined
}

/** SCA-RTS Art. 4(3)(d): never longer. */
export const idleMinutesDefault = 5

/** `field` is the name of a form field, `credentials` for user name and password together, or `form` for what concerns no field. */
export type FieldError = { readonly field: string; readonly message: string }

/** A page with a form. `pageToken` is posted back as `page_token`: it proves that the form is ours and is used once. */
export type FormPage = {
  readonly common: Common
  readonly formAction: string
  readonly pageToken: string
  readonly errors?: readonly FieldError[] | undefined
  /** "Step 2 of 3", when the page is part of a journey. */
  readonly step?: { readonly number: number; readonly of: number } | undefined
  /** The customer came here by themselves, and the company waits elsewhere (CIBA): on the telephone, at a till, in another app. */
  readonly elsewhere?: Elsewhere | undefined
}

/** Words that the company shows as well, for the customer to compare: then it is the same request. */
export type Elsewhere = { readonly bindingMessage?: string | undefined }

/** A group of permissions with its heading, as `bank/consents/permission` words it (customer experience 5.9). */
export type Cluster = { readonly title: string; readonly lines: readonly string[] }

type BeforeAndAfter = { readonly before: string; readonly after: string }

/** How what is asked differs from what the customer agreed to before. What stays the same is left out. */
export type AccessChange = {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly expiry?: BeforeAndAfter | undefined
  readonly transactionWindow?: BeforeAndAfter | undefined
}

/** A line of facts about the page's subject: label on the left, value on the right. */
export type Fact = { readonly label: string; readonly value: string }

/** The form that ends the dashboard's session. */
export type SignOut = { readonly formAction: string; readonly pageToken: string }
