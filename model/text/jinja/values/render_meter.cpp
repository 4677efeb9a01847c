#include "model/text/jinja/values/render_meter.h"

#include "base/check.h"

namespace ll::jinja {

thread_local RenderMeter* RenderMeter::current = nullptr;

void RenderMeter::refuse() const { fail("it takes more than {} steps", steps_); }

}  // namespace ll::jinja
