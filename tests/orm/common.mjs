// What the Node programs share.
import { createRequire } from 'node:module'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const require = createRequire(process.env.NODE_MODULES_OF)
export const url = process.env.DATABASE_URL
/** The same, for a session that sees the catalogs as plain. */
export const plainUrl = url + '?options=' + encodeURIComponent('-c columnseal.introspection=plain')
export const show = (label, value) => console.log(label, JSON.stringify(value))

/** The type of a column: encrypted, or on the plain twin of the test its plaintext type. */
export const sealed = (sql) => (process.env.SEALED ? sql : sql.replace(/seal\.([a-z0-9]+)(_eq|_ord|_match|_search)?/g, '$1'))

/** A copy of a folder of migrations, for the database at hand. */
export function migrations(of, use) {
  const folder = mkdtempSync(join(tmpdir(), 'columnseal-orm-'))
  cpSync(of, folder, { recursive: true })
  const each = (path) => {
    for (const name of readdirSync(path)) {
      const file = join(path, name)
      if (statSync(file).isDirectory()) each(file)
      else if (name.endsWith('.sql')) writeFileSync(file, sealed(readFileSync(file, 'utf8')))
    }
  }
  each(folder)
  return Promise.resolve(use(folder)).finally(() => rmSync(folder, { recursive: true }))
}

export async function failure(promise) {
  try {
    await promise
    return 'no error'
  } catch (error) {
    const from = error.cause ?? error.original ?? error.driverError ?? error
    return [error.constructor.name, from.code ?? error.code, from.constraint ?? null]
  }
}

export const people = Array.from({ length: 20 }, (_, i) => ({
  email: `user${String(i).padStart(2, '0')}@example.com`,
  name: `User ${i % 7}`,
  age: 20 + i,
  balance: (i / 4).toFixed(2),
  born: `1990-01-${String(i + 1).padStart(2, '0')}`,
  city: ['Paris', 'Rome'][i % 2],
}))
