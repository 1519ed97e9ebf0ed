#include "tests/referee/lie.hpp"

#include <array>
#include <utility>

namespace referee {

namespace {

constexpr std::array kNames{
    std::pair{LieKind::none, std::string_view{"none"}},
    std::pair{LieKind::id_out_of_range, std::string_view{"id_out_of_range"}},
    std::pair{LieKind::id_not_in_flight, std::string_view{"id_not_in_flight"}},
    std::pair{LieKind::double_completion, std::string_view{"double_completion"}},
    std::pair{LieKind::length_too_long, std::string_view{"length_too_long"}},
    std::pair{LieKind::length_huge, std::string_view{"length_huge"}},
    std::pair{LieKind::index_forward, std::string_view{"index_forward"}},
    std::pair{LieKind::index_backward, std::string_view{"index_backward"}},
    std::pair{LieKind::rewritten_descriptors, std::string_view{"rewritten_descriptors"}},
    std::pair{LieKind::changing_reads, std::string_view{"changing_reads"}},
    std::pair{LieKind::wrong_wrap, std::string_view{"wrong_wrap"}},
    std::pair{LieKind::event_garbage, std::string_view{"event_garbage"}},
    std::pair{LieKind::spurious_interrupt, std::string_view{"spurious_interrupt"}},
};

} // namespace

std::string_view name(LieKind kind) noexcept {
    for (const auto& [known, text] : kNames)
        if (known == kind) return text;
    return "?";
}

std::optional<LieKind> lie_kind(std::string_view name) noexcept {
    for (const auto& [known, text] : kNames)
        if (text == name) return known;
    return std::nullopt;
}

} // namespace referee
