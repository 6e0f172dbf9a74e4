/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything of libparley, and its version. libparley-node is <parley/node.h>.
 *
 * 0.x: a minor version (0.1 to 0.2) may change this API and its ABI, a patch (0.1.0 to 0.1.1) does
 * not. Symbols carry the minor version, so a program that was built with another one does not start
 * rather than going wrong. What is on disk and between nodes has versions of its own
 * (docs/STORAGE.md, docs/PROTOCOL.md), and newer libraries read what older ones wrote.
 */
#ifndef PARLEY_PARLEY_H
#define PARLEY_PARLEY_H

#include <parley/db.h>
#include <parley/env.h>
#include <parley/err.h>
#include <parley/limits.h>
#include <parley/message.h>
#include <parley/panic.h>
#include <parley/trace.h>
#include <parley/types.h>

#define PARLEY_VERSION_MAJOR 0
#define PARLEY_VERSION_MINOR 1
#define PARLEY_VERSION_PATCH 0

#endif
